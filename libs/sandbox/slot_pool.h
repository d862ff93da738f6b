#pragma once

// The slots of one sandbox: forkers, slots prepared ahead, and what slots use from outside.

#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/file.h"
#include "libs/base/mutex.h"
#include "libs/sandbox/forker.h"
#include "libs/sandbox/isolation.h"
#include "libs/sandbox/sandbox.h"

namespace hone::sandbox {

// Thread-safe.
class SlotPool {
 public:
  static absl::StatusOr<std::unique_ptr<SlotPool>> Create(const Options& options);
  // All slots must be back.
  ~SlotPool();

  Level level() const { return isolation_.level; }
  std::string Describe() const;

  // A slot that is ready for `task`, in its control group.
  absl::StatusOr<Slot> Take(const Task& task, TimePoint deadline);
  // A slot whose program is `gone`, with all of its processes: removes what it wrote, and prepares
  // another of the kind. What a program that does not die uses is never used again.
  void Return(Slot slot, bool gone);

 private:
  explicit SlotPool(const Options& options) : options_(options) {}
  absl::Status MakeRoot();
  absl::StatusOr<std::shared_ptr<Forker>> ForkerOf(Language language);
  absl::StatusOr<Slot> Prepare(const wire::Spawn& request);
  absl::StatusOr<Slot> TakeReady(const Task& task, TimePoint deadline);
  absl::StatusOr<std::unique_ptr<Cell>> TakeCell();
  void ReturnCell(std::unique_ptr<Cell> cell);
  // Where programs share this process's user, the kernel counts their tasks together, so that the
  // limit of each is what all slots may have, beside what others than slots have now. (What slots
  // have now must not count: one fork bomb after another would be given what the last one took.)
  int TasksBesides();

  const Options options_;
  Isolation isolation_;
  std::string root_;     // folder of the work folders
  FileDescriptor lock_;  // of root_, for as long as it is used
  Mutex mu_;
  std::map<Language, std::shared_ptr<Forker>> forkers_ ABSL_GUARDED_BY(mu_);
  std::list<Slot> prepared_ ABSL_GUARDED_BY(mu_);
  std::vector<std::unique_ptr<Cell>> cells_ ABSL_GUARDED_BY(mu_);
  int cells_made_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace hone::sandbox
