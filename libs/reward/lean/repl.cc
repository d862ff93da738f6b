#include "libs/reward/lean/repl.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/status.h"
#include "libs/reward/scorer.h"

namespace hone::lean {
namespace {

using nlohmann::json;

std::string Dump(const json& object) {
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Repl>> Repl::Start(const ReplOptions& options) {
  auto repl = std::unique_ptr<Repl>(new Repl(options));
  HONE_ASSIGN_OR_RETURN(repl->process_, Process::Start(options.process));
  return repl;
}

// What the end of the process means.
absl::Status Repl::Died() {
  const bool itself = process_->End(std::chrono::seconds(1));  // it may still be on its way out
  const std::string& complaints = process_->complaints();
  const std::string lower = absl::AsciiStrToLower(complaints);
  const std::string what =
      absl::StrCat("the REPL ended: ", process_->ending(), complaints.empty() ? "" : ": ",
                   complaints.empty() ? "" : Quoted(complaints));
  for (const char* sign : {"out of memory", "bad_alloc", "cannot allocate memory"})
    if (absl::StrContains(lower, sign)) return absl::ResourceExhaustedError(what);
  // Nobody but the kernel, short of memory, kills it with this.
  if (itself && absl::StartsWith(process_->ending(), "signal 9 "))
    return absl::ResourceExhaustedError(what);
  return absl::AbortedError(what);
}

absl::StatusOr<std::string> Repl::ReadFrame(absl::string_view input, TimePoint deadline) {
  while (true) {
    if (std::optional<std::string> frame = frames_.Next(); frame.has_value()) {
      if (!input.empty() || frames_.pending())
        return absl::DataLossError("the REPL said more than one reply to one command");
      return *std::move(frame);
    }
    HONE_ASSIGN_OR_RETURN(const std::string bytes, process_->Exchange(&input, deadline));
    if (bytes.empty()) return Died();
    HONE_RETURN_IF_ERROR(frames_.Feed(bytes));
  }
}

absl::StatusOr<Reply> Repl::RunJson(absl::string_view command, TimePoint deadline) {
  if (failed_) return absl::AbortedError("the REPL has ended");
  const auto run = [&]() -> absl::StatusOr<Reply> {
    if (!process_->Running()) return Died();
    // Something said without being asked would be taken for the reply.
    absl::string_view nothing;
    const absl::StatusOr<std::string> stray = process_->Exchange(&nothing, TimePoint());
    if (stray.ok() && stray->empty()) return Died();
    if (stray.ok() || frames_.pending())
      return absl::DataLossError("the REPL speaks without being asked");
    HONE_ASSIGN_OR_RETURN(const std::string frame,
                          ReadFrame(absl::StrCat(command, "\n\n"), deadline));
    absl::StatusOr<Reply> reply = ParseReply(frame, "the REPL's reply");
    if (!reply.ok())
      return absl::DataLossError(absl::StrCat(reply.status().message(), ": ", Quoted(frame)));
    return reply;
  };
  absl::StatusOr<Reply> reply = run();
  if (!reply.ok()) {
    failed_ = true;
    process_->End();
  }
  return reply;
}

absl::StatusOr<Reply> Repl::Run(const Command& command, TimePoint deadline) {
  json object{{"cmd", command.text}};
  if (command.env.has_value()) object["env"] = *command.env;
  if (command.discard) object["gc"] = true;
  return RunJson(Dump(object), deadline);
}

absl::Status Repl::Pickle(int64_t env, const std::string& path, TimePoint deadline) {
  HONE_ASSIGN_OR_RETURN(const Reply reply,
                        RunJson(Dump({{"pickleTo", path}, {"env", env}}), deadline));
  if (reply.error.has_value() || reply.env != env)
    return absl::DataLossError(absl::StrCat("the REPL did not write environment ", env, ": ",
                                            reply.error.value_or("it answers with another one")));
  return absl::OkStatus();
}

absl::StatusOr<int64_t> Repl::Unpickle(const std::string& path, TimePoint deadline) {
  HONE_ASSIGN_OR_RETURN(const Reply reply, RunJson(Dump({{"unpickleEnvFrom", path}}), deadline));
  if (reply.error.has_value() || !reply.env.has_value())
    return absl::DataLossError(absl::StrCat("the REPL did not read the environment: ",
                                            reply.error.value_or("it names none")));
  return *reply.env;
}

bool Repl::Alive() {
  return !failed_ && process_->Running();
}

ReplPool::ReplPool(PoolOptions options)
    : options_(std::move(options)), slots_(static_cast<size_t>(options_.processes)) {}

ReplPool::Lease::Lease(Lease&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)), slot_(other.slot_) {}

ReplPool::Lease::~Lease() {
  if (pool_ != nullptr) pool_->Return(slot_);
}

std::optional<size_t> ReplPool::Choose(const std::string& header) {
  std::optional<size_t> best;
  const auto rank = [&](const Slot& s) {  // higher is better
    return s.repl == nullptr ? 1 : s.header == header ? 2 : 0;
  };
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].busy) continue;
    const int mine = rank(slots_[i]), other = best.has_value() ? rank(slots_[*best]) : -1;
    if (mine > other || (mine == other && mine == 0 && slots_[i].returned < slots_[*best].returned))
      best = i;
  }
  return best;
}

absl::Status ReplPool::Prepare(Slot& slot, const std::string& header, TimePoint deadline) {
  slot.repl.reset();  // the memory of the old one first
  HONE_ASSIGN_OR_RETURN(slot.repl, Repl::Start(options_.repl));
  slot.header = header;
  slot.uses = 0;
  const TimePoint limit = std::min(deadline, SystemClock::Get().Now() + options_.header_timeout);
  absl::StatusOr<Reply> reply = slot.repl->Run({header, std::nullopt, false}, limit);
  if (!reply.ok())
    return absl::UnavailableError(
        absl::StrCat("no REPL is ready for the header: ", reply.status().message()));
  std::optional<std::string> refusal = reply->error;
  for (const Message& m : reply->messages)
    if (m.severity == Message::Severity::kError && !refusal.has_value()) refusal = m.data;
  if (refusal.has_value())
    return absl::InvalidArgumentError(absl::StrCat("Lean refuses the header: ", Quoted(*refusal)));
  if (!reply->env.has_value())
    return absl::UnavailableError("the REPL names no environment after the header");
  slot.env = *reply->env;
  return absl::OkStatus();
}

absl::StatusOr<ReplPool::Lease> ReplPool::Acquire(const std::string& header, TimePoint deadline) {
  std::optional<size_t> chosen;
  bool reuse = false;
  {
    MutexLock lock(mu_);
    lock.WaitUntil(returned_, deadline, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      chosen = Choose(header);
      return chosen.has_value();
    });
    if (!chosen.has_value())
      return absl::UnavailableError(
          absl::StrCat("none of ", options_.processes, " REPLs was free in time"));
    Slot& slot = slots_[*chosen];
    slot.busy = true;
    reuse = slot.repl != nullptr && slot.header == header && slot.repl->Alive();
    ++(reuse ? counts_.reused : counts_.started);
  }
  Lease lease(this, *chosen);
  Slot& slot = slots_[*chosen];
  if (!reuse) {
    if (absl::Status status = Prepare(slot, header, deadline); !status.ok()) {
      slot.repl.reset();
      return status;
    }
  }
  ++slot.uses;
  return lease;
}

void ReplPool::Return(size_t index) {
  Slot& slot = slots_[index];
  if (slot.repl != nullptr && (slot.uses >= options_.max_uses || !slot.repl->Alive()))
    slot.repl.reset();
  MutexLock lock(mu_);
  slot.busy = false;
  slot.returned = ++returns_;
  returned_.notify_all();
}

ReplPool::Counts ReplPool::counts() const {
  MutexLock lock(mu_);
  return counts_;
}

}  // namespace hone::lean
