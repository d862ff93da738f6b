#pragma once

#include "kernels/kernels.h"
#include "libs/base/check.h"

namespace hone {

// A backend with one stream of work on it: what every op runs on. On the CPU the stream is a team
// of `threads`. Calls on one device are made by one thread at a time; make one device per thread
// that computes.
class Device {
 public:
  Device(const kernels::Table& table, int threads) : table_(table), stream_(table.open(threads)) {}
  ~Device() { table_.close(stream_); }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const kernels::Table& table() const { return table_; }
  kernels::Stream stream() const { return stream_; }

  // Runs one kernel of the table; a kernel's error is a bug of its caller.
  template <typename Args>
  void Run(kernels::Error (*kernel)(const Args&, kernels::Stream), const Args& args) const {
    const kernels::Error error = kernel(args, stream_);
    HONE_CHECK(error == nullptr) << table_.name << ": " << error;
  }

 private:
  const kernels::Table& table_;
  const kernels::Stream stream_;
};

}  // namespace hone
