#include "tests/kernels/simulated/device_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "tests/kernels/simulated/program.h"

namespace hone::simulated {
namespace {

constexpr uint64_t kBytes = uint64_t{128} << 30;  // addresses; pages come when they are used
constexpr uint64_t kAlign = 512, kPage = 4096;

struct Memory {
  int file = memfd_create("device memory", MFD_CLOEXEC);
  uint8_t* device;  // the addresses that kernels have
  uint8_t* host;    // the same pages
  uint32_t *writers, *readers;
  uint64_t end = kPage;
  std::map<uint64_t, uint64_t> allocated;  // bytes by offset
  uint64_t allocated_bytes = 0;
  uint64_t first = 1, last = 0;  // of the allocation that was used last

  Memory() {
    const auto map = [](uint64_t bytes, int protection, int flags, int fd) {
      void* const p = mmap(nullptr, bytes, protection, flags | MAP_NORESERVE, fd, 0);
      if (p == MAP_FAILED) Stop("no addresses for the device's memory");
      return p;
    };
    if (file < 0 || ftruncate(file, static_cast<off_t>(kBytes)) != 0) Stop("no memory file");
    device = static_cast<uint8_t*>(map(kBytes, PROT_NONE, MAP_SHARED, file));
    host = static_cast<uint8_t*>(map(kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file));
    for (uint32_t** marks : {&writers, &readers})
      *marks = static_cast<uint32_t*>(
          map(2 * kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1));
  }
  // kBytes for what is no device address.
  uint64_t Offset(uint64_t address) const {
    for (const uint8_t* base : {device, host})
      if (const uint64_t offset = address - reinterpret_cast<uint64_t>(base); offset < kBytes)
        return offset;
    return kBytes;
  }
};

Memory& TheMemory() {
  static Memory& memory = *new Memory;
  return memory;
}

}  // namespace

void* AllocateDevice(uint64_t bytes, bool managed) {
  Memory& m = TheMemory();
  const uint64_t at = m.end;
  m.end +=
      (bytes + kAlign - 1) / kAlign * kAlign + kAlign;  // at least kAlign of nothing in between
  if (m.end > kBytes) Stop("%llu bytes do not fit", static_cast<unsigned long long>(bytes));
  m.allocated[at] = bytes;
  m.allocated_bytes += bytes;
  std::memset(m.host + at, 0xff, std::min<uint64_t>(bytes, 64 << 20));
  return (managed ? m.host : m.device) + at;
}

void FreeDevice(void* p) {
  Memory& m = TheMemory();
  const auto it = m.allocated.find(m.Offset(reinterpret_cast<uint64_t>(p)));
  if (it == m.allocated.end()) Stop("free of %p, which is not allocated", p);
  const uint64_t begin = (it->first + kPage - 1) / kPage * kPage,
                 end = (it->first + it->second) / kPage * kPage;
  if (begin < end) {
    fallocate(m.file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(begin),
              static_cast<off_t>(end - begin));
    for (uint32_t* marks : {m.writers, m.readers})
      madvise(marks + begin / 2, 2 * (end - begin), MADV_DONTNEED);
  }
  m.allocated_bytes -= it->second;
  m.allocated.erase(it);
  m.first = 1;
  m.last = 0;
}

uint64_t AllocatedBytes() {
  return TheMemory().allocated_bytes;
}

bool IsDevice(const void* p) {
  return TheMemory().Offset(reinterpret_cast<uint64_t>(p)) < kBytes;
}

uint8_t* DeviceBytes(uint64_t address, int64_t bytes, const char* what) {
  Memory& m = TheMemory();
  const uint64_t begin = m.Offset(address), end = begin + static_cast<uint64_t>(bytes);
  if (begin < m.first || end > m.last) {
    auto it = m.allocated.upper_bound(begin);
    if (begin == kBytes || it == m.allocated.begin() || (--it, end > it->first + it->second))
      Stop("%s: %lld bytes at %llx are not device memory that is allocated", what,
           static_cast<long long>(bytes), static_cast<unsigned long long>(address));
    m.first = it->first;
    m.last = it->first + it->second;
  }
  return m.host + begin;
}

Marks MarksOf(uint64_t address) {
  const Memory& m = TheMemory();
  const uint64_t piece = m.Offset(address) / 2;
  return {m.writers + piece, m.readers + piece};
}

}  // namespace hone::simulated
