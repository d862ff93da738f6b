// Direct use of a rollout loop's engine by others: their calls run on the engine's thread between
// steps.

#include <chrono>

#include "libs/loop/assignment.h"

namespace hone {

void RolloutLoop::VisitEngine(const Visit& visit) {
  Mutex mu;
  std::condition_variable done;
  bool called = false;
  {
    MutexLock lock(mu_);
    if (!visitable_) {
      visit(nullptr);
      return;
    }
    visits_.push_back([&](Assignment* a) {
      visit(a);
      MutexLock inner(mu);
      called = true;
      done.notify_all();
    });
    wake_.notify_all();
  }
  MutexLock lock(mu);
  lock.WaitUntil(done, kNoDeadline, [&] { return called; });
}

void RolloutLoop::ServeVisits(Assignment* a) {
  std::deque<Visit> visits;
  {
    MutexLock lock(mu_);
    if (a != nullptr && given_back_) {
      if (std::chrono::steady_clock::now() < *given_back_ + options_.patience) return;
      a = nullptr;
    }
    visits.swap(visits_);
  }
  if (a != nullptr && a->engine->version() < 0) a = nullptr;
  for (const Visit& visit : visits) visit(a);
}

absl::Status RolloutLoop::Generate(GroupRequest request, const std::string& prompt_text,
                                   std::function<void(v1::Completion)> done) {
  absl::Status status =
      absl::FailedPreconditionError("this worker serves no run, or has no weights at present");
  VisitEngine([&](Assignment* a) {
    if (a == nullptr) return;
    if (request.prompt.empty()) {
      v1::Prompt prompt;
      prompt.set_text(prompt_text);
      auto tokens = EncodePrompt(a->folder, prompt);
      status = tokens.status();
      if (!tokens.ok()) return;
      request.prompt = std::move(tokens->ids);
    }
    // Apart from lease ids, which count from 1.
    request.id = (uint64_t{1} << 63) + static_cast<uint64_t>(++request_ids_);
    const uint64_t id = request.id;
    auto left = std::make_shared<int>(request.group_size);
    a->visitors[id] = [a, id, left, done = std::move(done)](v1::Completion completion) {
      done(std::move(completion));
      if (--*left == 0) a->visitors.erase(id);
    };
    status = a->engine->Submit(std::move(request));
    if (!status.ok()) a->visitors.erase(id);
  });
  return status;
}

absl::StatusOr<std::vector<float>> RolloutLoop::Score(const std::vector<int32_t>& tokens,
                                                      float temperature, int64_t* version) {
  absl::StatusOr<std::vector<float>> result =
      absl::FailedPreconditionError("this worker serves no run, or has no weights at present");
  VisitEngine([&](Assignment* a) {
    if (a == nullptr) return;
    result = a->engine->Score(tokens, temperature);
    *version = a->engine->version();
  });
  return result;
}

}  // namespace hone
