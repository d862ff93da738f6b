#pragma once

// A small language for tests of the coordinator's state: one run, workers that answer at once, and
// a folder that can be closed, reopened, or copied as a kill would leave it.

#include <memory>
#include <string>
#include <vector>

#include "libs/buffer/buffer.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/test.h"

namespace hone::testing {

class World {
 public:
  // A run "r" with grpo stage "main" of `steps` steps of `prompts_per_step` groups of 2 over a set
  // of `prompts` prompts.
  struct Plan {
    int64_t prompts = 5;
    int64_t steps = 4;
    int prompts_per_step = 3;
    int staleness = 0;
    int64_t max_attempts = 0;
    int64_t eval_every = -1;  // evaluation "test" of 4 prompts; -1: none
    bool fsync = false;       // the machine does not die in tests
  };
  World() : World(Plan{}) {}
  explicit World(const Plan& plan);

  Buffer& buffer() { return *buffer_; }
  FakeClock clock;
  const Plan plan;
  const v1::RunSpec& spec() const { return spec_; }

  // Closes and opens again, as a restart of the coordinator does.
  void Reopen();
  // Leaves everything as it is on the disk at this moment and goes on with that: nothing is closed.
  void Kill();

  // --- what people do ---
  void Upload(const std::string& set, int64_t prompts);
  void Create();
  v1::Run Run();
  std::map<std::string, int64_t> Counts();  // of stage "main", by state
  std::vector<v1::Issue> Issues(v1::IssueState state = v1::ISSUE_STATE_UNSPECIFIED);

  // --- what workers do ---
  std::vector<v1::Lease> Lease(const std::string& worker, int64_t version, int max = 100,
                               uint64_t incarnation = 1, bool ahead = false);
  // `flavour` other than 0 makes other bits.
  static v1::Group Answer(const v1::Lease& lease, int64_t version, int flavour = 0);
  absl::StatusOr<v1::CommitGroupResponse> Commit(const std::string& worker, const v1::Lease& lease,
                                                 int64_t version, int flavour = 0);
  void LeaseAndCommitAll(const std::string& worker, int64_t version);

  // --- what the learner does ---
  void Acquire(uint64_t incarnation = 1);
  void Begin() { REQUIRE_OK(TryBegin(0)); }
  absl::Status TryBegin(int64_t first_step);
  absl::StatusOr<v1::StoredBatch> Pull(int64_t step);
  absl::StatusOr<v1::RunState> Step(int64_t step, uint64_t digest = 0);
  absl::Status Checkpoint(int64_t step);
  absl::Status End(bool succeeded);

 private:
  BufferOptions Options() const;

  v1::RunSpec spec_;
  std::vector<std::unique_ptr<TempDir>> folders_;
  std::vector<std::unique_ptr<Buffer>> killed_;
  std::unique_ptr<Buffer> buffer_;
};

}  // namespace hone::testing
