#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/kernels.h"
#include "libs/base/check.h"
#include "libs/tensor/arena.h"

namespace hone {

enum class DeviceKind : uint8_t {
  // CUDA if this build and machine have it and its table is complete, else the CPU; warns if there
  // is a GPU that cannot be used.
  kAuto,
  kCpu,
  kCuda,
};
// FAILED_PRECONDITION: CUDA was asked for and is not there (why), or lacks kernels, which are
// named.
absl::StatusOr<const kernels::Table*> FindTable(DeviceKind kind);
// Entries of `table` that are null, by name.
std::vector<std::string> MissingEntries(const kernels::Table& table);

class Recording;

// A backend with one stream of work on it: what every op runs on. On the CPU the stream is a team
// of `threads`. Calls on one device are made by one thread at a time; make one device per thread
// that computes.
//
// Pointers that ops take are to device memory (arena.h), which the host may be unable to read; only
// Upload and Write read host memory, only Read writes it. A failure of the device is fatal.
class Device {
 public:
  // urgent: its work goes before that of other devices of the table (kernels::StreamArgs).
  Device(const kernels::Table& table, int threads, bool urgent = false) : table_(table) {
    Check(table.open({.threads = threads, .urgent = urgent}, &stream_));
  }
  // Waits for the work on it.
  ~Device() { table_.close(stream_); }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const kernels::Table& table() const { return table_; }
  kernels::Stream stream() const { return stream_; }

  // Runs one kernel of the table; a kernel's error is a bug of its caller.
  template <typename Args>
  void Run(kernels::Error (*kernel)(const Args&, kernels::Stream), const Args& args) const {
    Check(kernel(args, stream_));
  }

  // The values of host arrays where kernels can read them: const T* per array. Where the device
  // reads host memory they are the arrays themselves, which must therefore live until the kernels
  // are done; elsewhere they travel together, into `arena`.
  template <typename... T>
  std::tuple<const T*...> Upload(Arena& arena, const std::vector<T>&... arrays) const;

  // n elements from host to device; `from` may be reused at once.
  template <typename T>
  void Write(T* to, const T* from, int64_t n) const {
    Run(table_.upload, kernels::TransferArgs{from, to, n * static_cast<int64_t>(sizeof(T))});
  }
  // n elements from device to host. Waits for the work that makes them.
  template <typename T>
  void Read(T* to, const T* from, int64_t n) const {
    Run(table_.download, kernels::TransferArgs{from, to, n * static_cast<int64_t>(sizeof(T))});
  }
  // Within the device.
  void Copy(void* to, const void* from, int64_t bytes) const {
    Run(table_.copy, kernels::CopyArgs{.from = from, .to = to, .row_bytes = bytes});
  }
  void Zero(void* to, int64_t bytes) const { Run(table_.zero, kernels::ZeroArgs{to, bytes}); }
  // Keeps what `work` calls of Run, Copy and Zero instead of doing it. `work` calls nothing else of
  // this device and allocates nothing. Only where `records`.
  template <typename Work>
  Recording Record(const Work& work) const;
  bool records() const { return table_.record != nullptr; }
  // As if the calls were made again, with the same arguments.
  void Replay(const Recording& recording) const;
  // Waits for all work: what was computed may now be read by other devices of the table.
  void Synchronize() const { Check(table_.synchronize(stream_)); }

 private:
  void Check(kernels::Error error) const {
    HONE_CHECK(error == nullptr) << table_.name << ": " << error;
  }

  const kernels::Table& table_;
  kernels::Stream stream_ = nullptr;
};

// What a device was called for, to be done again (Device::Record, Replay). The memory that it uses
// must be there then, at the same place.
class Recording {
 public:
  Recording(Recording&&) = default;

 private:
  friend class Device;
  struct Forget {
    const kernels::Table* table;
    void operator()(void* p) const { table->forget(p); }
  };
  Recording(kernels::Recording recording, const kernels::Table& table)
      : recording_(recording, Forget{&table}) {}
  std::unique_ptr<void, Forget> recording_;
};

template <typename Work>
Recording Device::Record(const Work& work) const {
  Check(table_.record(stream_));
  work();
  kernels::Recording recording = nullptr;
  Check(table_.recorded(stream_, &recording));
  return {recording, table_};
}

inline void Device::Replay(const Recording& recording) const {
  Check(table_.replay(recording.recording_.get(), stream_));
}

template <typename... T>
std::tuple<const T*...> Device::Upload(Arena& arena, const std::vector<T>&... arrays) const {
  if (table_.host_visible) return {arrays.data()...};
  const std::array<int64_t, sizeof...(T)> sizes = {
      Arena::RoundUp(static_cast<int64_t>(arrays.size() * sizeof(T)))...};
  int64_t bytes = 0;
  for (int64_t size : sizes) bytes += size;
  std::vector<char> together(static_cast<size_t>(bytes));
  char* const to = static_cast<char*>(arena.Allocate(bytes));
  int64_t at = 0;
  size_t i = 0;
  const auto place = [&]<typename E>(const std::vector<E>& array) {
    if (!array.empty()) std::memcpy(together.data() + at, array.data(), array.size() * sizeof(E));
    const auto* placed = reinterpret_cast<const E*>(to + at);
    at += sizes[i++];
    return placed;
  };
  const std::tuple<const T*...> placed{place(arrays)...};  // braces: from left to right
  Write(to, together.data(), bytes);
  return placed;
}

}  // namespace hone
