#include "tests/testing/metered_table.h"

#include <algorithm>
#include <limits>
#include <map>

#include "libs/base/mutex.h"

namespace hone::testing {
namespace {

class Meter {
 public:
  int64_t free() {
    MutexLock lock(mu_);
    return size_ - held_;
  }
  void SetSize(int64_t bytes) {
    MutexLock lock(mu_);
    size_ = bytes;
  }
  void Allocated(void* p, int64_t bytes) {
    MutexLock lock(mu_);
    sizes_[p] = bytes;
    held_ += bytes;
    peak_ = std::max(peak_, held_);
  }
  void Released(void* p) {
    MutexLock lock(mu_);
    const auto size = sizes_.find(p);
    held_ -= size->second;
    sizes_.erase(size);
  }
  int64_t held() {
    MutexLock lock(mu_);
    return held_;
  }
  int64_t peak() {
    MutexLock lock(mu_);
    return peak_;
  }
  void ForgetPeak() {
    MutexLock lock(mu_);
    peak_ = held_;
  }

 private:
  Mutex mu_;
  std::map<void*, int64_t> sizes_ ABSL_GUARDED_BY(mu_);
  int64_t size_ ABSL_GUARDED_BY(mu_) = std::numeric_limits<int64_t>::max();
  int64_t held_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t peak_ ABSL_GUARDED_BY(mu_) = 0;
};

Meter& TheMeter() {
  static auto* const meter = new Meter;
  return *meter;
}

kernels::Table MakeTable() {
  kernels::Table t = kernels::Cpu();
  t.name = "metered";
  t.host_visible = false;
  t.free_memory = [](int64_t* bytes) -> kernels::Error {
    *bytes = TheMeter().free();
    return nullptr;
  };
  t.allocate = [](int64_t bytes, void** out) -> kernels::Error {
    if (bytes > TheMeter().free()) return "out of memory";
    const kernels::Error error = kernels::Cpu().allocate(bytes, out);
    if (error == nullptr) TheMeter().Allocated(*out, bytes);
    return error;
  };
  t.release = [](void* p) {
    if (p == nullptr) return;
    TheMeter().Released(p);
    kernels::Cpu().release(p);
  };
  return t;
}

}  // namespace

const kernels::Table& MeteredTable() {
  static const kernels::Table table = MakeTable();
  return table;
}

int64_t HeldBytes() {
  return TheMeter().held();
}

int64_t PeakBytes() {
  return TheMeter().peak();
}

void ForgetPeak() {
  TheMeter().ForgetPeak();
}

void SetDeviceBytes(int64_t bytes) {
  TheMeter().SetSize(bytes);
}

}  // namespace hone::testing
