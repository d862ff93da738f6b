#include "libs/reward/code/relay.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/reward/code/dialect.h"

namespace hone::code {
namespace {

using sandbox::Session;

// A process that has closed its channel has this long to end.
constexpr Duration kGrace = std::chrono::seconds(2);
// Beyond the wall time of the sandbox, which is what should decide.
constexpr Duration kSlack = std::chrono::seconds(5);

TimePoint Now() {
  return SystemClock::Get().Now();
}

Duration WallTime(const sandbox::Limits& limits) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(limits.wall_seconds));
}

class Channel {
 public:
  Channel(Session& session, const Side& side, TimePoint deadline)
      : session_(session),
        dialect_(side.shell ? ShellDialect() : FrameDialect()),
        deadline_(std::min(deadline, Now() + kSlack + WallTime(side.task.limits))) {}

  absl::Status Send(char kind, absl::string_view body) {
    return session_.Send(dialect_->Write(kind, body), deadline_);
  }
  // UNAVAILABLE: the channel is closed. INVALID_ARGUMENT: what came is no message.
  absl::StatusOr<Message> Receive() {
    while (true) {
      HONE_ASSIGN_OR_RETURN(std::optional<Message> message, dialect_->Next());
      if (message.has_value()) return *std::move(message);
      HONE_ASSIGN_OR_RETURN(const std::string bytes, session_.Receive(size_t{1} << 16, deadline_));
      if (bytes.empty()) return absl::UnavailableError("the channel is closed");
      dialect_->Append(bytes);
    }
  }

 private:
  Session& session_;
  std::unique_ptr<Dialect> dialect_;
  TimePoint deadline_;
};

class Relay {
 public:
  Relay(Host& host, Host::Pair& pair, const Side& tester, const Side& program, TimePoint deadline)
      : host_(host),
        pair_(pair),
        tester_side_(tester),
        program_side_(program),
        deadline_(deadline),
        tester_(*pair.tester, tester, deadline),
        program_(*pair.program, program, deadline) {}

  Judgement Run() {
    Load();
    while (true) {
      absl::StatusOr<Message> message = tester_.Receive();
      if (!message.ok()) return TesterGone(message.status());
      absl::string_view body = message->body;
      if (message->kind == 'p' && !asked_ && !tester_side_.tests.empty()) {
        host_.KeepPrepared(tester_side_.tests, std::move(message->body));
      } else if (message->kind == 'c') {
        asked_ = true;
        const absl::Status answered = Answer(*message);
        if (!answered.ok()) return TesterGone(answered);
      } else if (message->kind == 'e') {
        return End(body);
      } else {
        return Unjudged(v1::OUTCOME_BAD_REFERENCE, Printable(TakeText(body).value_or("")));
      }
    }
  }

 private:
  void Load() {
    // What is wrong with the tester shows when it is listened to.
    if (!tester_side_.load.empty()) tester_.Send('l', tester_side_.load).IgnoreError();
    if (!program_side_.load.empty())
      if (absl::Status sent = program_.Send('l', program_side_.load); !sent.ok()) return Lose(sent);
    absl::StatusOr<Message> loaded = program_.Receive();
    if (!loaded.ok()) return Lose(loaded.status());
    if (loaded->kind == 'o') return;
    absl::string_view body = loaded->body;
    const std::string type = TakeText(body).value_or("");
    gone_ = Failure{type == "MemoryError" ? v1::OUTCOME_OUT_OF_MEMORY : v1::OUTCOME_SCORED, true,
                    absl::StrCat("the program does not load: ", Printable(type), ": ",
                                 Printable(TakeText(body).value_or("")))};
  }

  // The program cannot be asked any more: finds out why.
  void Lose(const absl::Status& status) {
    Failure failure;
    if (absl::IsInvalidArgument(status)) {
      failure.why = absl::StrCat("the program wrote to the tester's channel: ", status.message());
    } else if (absl::IsDeadlineExceeded(status)) {
      failure = {v1::OUTCOME_TIMEOUT, Now() < deadline_, "the program does not answer"};
    } else {
      absl::StatusOr<sandbox::Result> result =
          pair_.program->Wait(std::min(deadline_, Now() + kGrace));
      ended_ = true;
      if (!result.ok()) {
        failure = {v1::OUTCOME_VERIFIER_UNAVAILABLE, false, std::string(result.status().message())};
      } else {
        failure = Explain(*result, program_side_.task.limits, "the program");
        if (result->ending == sandbox::Ending::kCancelled && Now() < deadline_)
          failure = {v1::OUTCOME_SCORED, true, "the program closed its channel"};
      }
    }
    if (!ended_) pair_.program->Kill();
    gone_ = std::move(failure);
  }

  // Errors are of the tester's channel.
  absl::Status Answer(const Message& call) {
    if (!gone_.has_value()) {
      if (absl::Status sent = program_.Send(call.kind, call.body); !sent.ok()) {
        Lose(sent);
      } else if (absl::StatusOr<Message> answer = program_.Receive(); !answer.ok()) {
        Lose(answer.status());
      } else if (answer->kind != 'v' && answer->kind != 'x') {
        Lose(absl::InvalidArgumentError("an unknown kind of message"));
      } else if (absl::Status checked = CheckValues(answer->body); !checked.ok()) {
        Lose(checked);
      } else {
        heard_ = true;
        return tester_.Send(answer->kind, answer->body);
      }
    }
    missed_ = true;
    std::string body;
    PutText(body, gone_->why);
    return tester_.Send('g', body);
  }

  Judgement End(absl::string_view body) const {
    const std::optional<int64_t> passed = TakeInteger(body);
    const std::optional<int64_t> total = TakeInteger(body);
    const std::optional<std::string> why = TakeText(body);
    if (!passed.has_value() || !total.has_value() || !why.has_value() || *passed < 0 ||
        *passed > *total || *total < 1)
      return Unjudged(v1::OUTCOME_VERIFIER_UNAVAILABLE, "the tester's last word makes no sense");
    Judgement j;
    // Whatever the tests make of a call that had no answer: it is no success.
    j.passed = missed_ ? std::min(*passed, *total - 1) : *passed;
    j.total = *total;
    if (j.all()) return j;
    j.reason = Printable(*why);
    if (!gone_.has_value()) return j;
    j.outcome = gone_->outcome;
    j.own = gone_->own;
    j.reason = gone_->why;
    return j;
  }

  static Judgement Failed(const Failure& failure) {
    Judgement j;
    j.total = 1;
    j.outcome = failure.outcome;
    j.own = failure.own;
    j.reason = failure.why;
    return j;
  }

  // Without its last word. What the program said may be why: then it is the program's doing.
  Judgement TesterGone(const absl::Status& status) {
    if (gone_.has_value()) return Failed(*gone_);
    if (Now() >= deadline_)
      return Unjudged(v1::OUTCOME_TIMEOUT, "the deadline passed while the tests ran");
    if (absl::IsDeadlineExceeded(status)) pair_.tester->Kill();
    absl::StatusOr<sandbox::Result> result =
        pair_.tester->Wait(std::min(deadline_, Now() + kGrace));
    if (!result.ok()) return SandboxTrouble(result.status());
    const Failure failure = Explain(*result, tester_side_.task.limits, "the tester");
    if (!heard_) return Unjudged(v1::OUTCOME_BAD_REFERENCE, failure.why);
    return Failed({failure.outcome, failure.own, failure.why + ", after the program's values"});
  }

  Host& host_;
  Host::Pair& pair_;
  const Side& tester_side_;
  const Side& program_side_;
  const TimePoint deadline_;
  Channel tester_, program_;
  std::optional<Failure> gone_;  // the program, and why
  bool asked_ = false;           // the tester has asked the program something
  bool ended_ = false;           // the program's Wait was called
  bool missed_ = false;          // a call had no answer
  bool heard_ = false;           // a value of the program has reached the tester
};

}  // namespace

Judgement SandboxTrouble(const absl::Status& status) {
  return Unjudged(
      absl::IsDeadlineExceeded(status) ? v1::OUTCOME_TIMEOUT : v1::OUTCOME_VERIFIER_UNAVAILABLE,
      std::string(status.message()));
}

Judgement RunFunctionTest(Host& host, const Side& tester, const Side& program, TimePoint deadline) {
  absl::StatusOr<Host::Pair> pair = host.StartPair(tester.task, program.task, deadline);
  if (!pair.ok()) return SandboxTrouble(pair.status());
  return Relay(host, *pair, tester, program, deadline).Run();
}

}  // namespace hone::code
