#include "libs/clients/reward_client.h"

#include "absl/strings/str_cat.h"
#include "libs/base/log.h"
#include "libs/base/periodic.h"
#include "libs/base/status.h"
#include "libs/rpc/status.h"

namespace hone {

struct RewardClient::Stream {
  struct Item {
    v1::ScoreItem item;
    std::function<void(v1::Verdict)> done;
    TimePoint deadline;
  };
  v1::RewardSpec reward;
  Mutex mu;
  std::condition_variable changed;
  std::map<uint64_t, Item> open ABSL_GUARDED_BY(mu);  // without a verdict yet
  std::deque<uint64_t> unsent ABSL_GUARDED_BY(mu);    // on the present connection
  uint64_t next_id ABSL_GUARDED_BY(mu) = 1;
  bool stop ABSL_GUARDED_BY(mu) = false;
  bool broken ABSL_GUARDED_BY(mu) = false;  // the reader saw the connection end
  grpc::ClientContext* context ABSL_GUARDED_BY(mu) = nullptr;
  std::thread thread;
};

namespace {
v1::Verdict Unavailable(absl::string_view why) {
  v1::Verdict verdict;
  verdict.set_outcome(v1::OUTCOME_VERIFIER_UNAVAILABLE);
  v1::ScorePart& part = *verdict.add_parts();
  part.set_outcome(v1::OUTCOME_VERIFIER_UNAVAILABLE);
  part.set_reason(std::string(why));
  return verdict;
}
}  // namespace

absl::StatusOr<std::unique_ptr<RewardClient>> RewardClient::Create(const std::string& address,
                                                                   const rpc::ClientTls& tls,
                                                                   Duration patience) {
  rpc::ChannelOptions options;
  options.tls = tls;
  options.max_attempts = 1;
  HONE_ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel, rpc::MakeChannel(address, options));
  return std::unique_ptr<RewardClient>(new RewardClient(std::move(channel), address, patience));
}

RewardClient::RewardClient(std::shared_ptr<grpc::Channel> channel, std::string address,
                           Duration patience)
    : stub_(v1::RewardService::NewStub(channel)),
      peer_(absl::StrCat("reward service at ", address)),
      patience_(patience) {}

RewardClient::~RewardClient() {
  Close();
}

void RewardClient::Close() {
  std::vector<Stream*> streams;
  {
    MutexLock lock(mu_);
    if (std::exchange(stop_, true)) return;
    for (const auto& [key, stream] : streams_) streams.push_back(stream.get());
  }
  for (Stream* stream : streams) {
    {
      MutexLock lock(stream->mu);
      stream->stop = true;
      if (stream->context != nullptr) stream->context->TryCancel();
      stream->changed.notify_all();
    }
    stream->thread.join();
    std::map<uint64_t, Stream::Item> left;
    {
      MutexLock lock(stream->mu);
      left.swap(stream->open);
    }
    for (auto& [id, item] : left) item.done(Unavailable("the worker is stopping"));
  }
}

void RewardClient::Score(const v1::RewardSpec& reward, v1::ScoreItem item,
                         std::function<void(v1::Verdict)> done) {
  Stream* stream = nullptr;
  {
    MutexLock lock(mu_);
    if (!stop_) {
      std::unique_ptr<Stream>& slot = streams_[reward.SerializeAsString()];
      if (slot == nullptr) {
        slot = std::make_unique<Stream>();
        slot->reward = reward;
        slot->thread = std::thread([this, s = slot.get()] { Serve(*s); });
      }
      stream = slot.get();
    }
  }
  if (stream != nullptr) {
    MutexLock lock(stream->mu);
    if (!stream->stop) {
      const uint64_t id = stream->next_id++;
      item.set_item_id(id);
      stream->open[id] = {std::move(item), std::move(done),
                          std::chrono::steady_clock::now() + patience_};
      stream->unsent.push_back(id);
      stream->changed.notify_all();
      return;
    }
  }
  done(Unavailable("the worker is stopping"));
}

void RewardClient::Serve(Stream& s) {
  NameThisThread("score");
  Duration pause = std::chrono::milliseconds(50);
  bool away = false;
  while (true) {
    {
      MutexLock lock(s.mu);
      lock.WaitUntil(s.changed, kNoDeadline, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(s.mu) {
        return s.stop || !s.open.empty();
      });
      if (s.stop) return;
      s.unsent.clear();  // a new connection: everything open is sent (again)
      for (const auto& [id, item] : s.open) s.unsent.push_back(id);
      s.broken = false;
    }
    const TimePoint start = std::chrono::steady_clock::now();
    const absl::Status status = Connect(s);
    const bool worked = std::chrono::steady_clock::now() - start > std::chrono::seconds(2);
    // The specification is wrong, or names a scorer that is not there: no time will mend that.
    const bool hopeless = absl::IsInvalidArgument(status) || absl::IsFailedPrecondition(status);
    Expire(s, status, hopeless);
    MutexLock lock(s.mu);
    if (s.stop) return;
    if (!away || worked)
      Log(hopeless ? LogLevel::kError : LogLevel::kWarning,
          absl::StrCat(status.message(),
                       hopeless ? "; completions stay without a verdict" : "; trying again"));
    away = true;
    pause = worked ? std::chrono::milliseconds(50)
                   : std::min<Duration>(pause * 2, std::chrono::seconds(2));
    lock.WaitUntil(s.changed, std::chrono::steady_clock::now() + pause,
                   [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(s.mu) { return s.stop; });
  }
}

absl::Status RewardClient::Connect(Stream& s) {
  grpc::ClientContext context;
  rpc::PrepareStream(context);
  {
    MutexLock lock(s.mu);
    if (s.stop) return absl::CancelledError("stopping");
    s.context = &context;
  }
  const auto stream = stub_->Score(&context);
  std::thread reader([&] {
    NameThisThread("verdicts");
    v1::ScoreResponse response;
    while (stream->Read(&response)) {
      std::function<void(v1::Verdict)> done;
      {
        MutexLock lock(s.mu);
        const auto it = s.open.find(response.item_id());
        if (it == s.open.end()) continue;  // expired meanwhile
        done = std::move(it->second.done);
        s.open.erase(it);
      }
      done(std::move(*response.mutable_verdict()));
    }
    MutexLock lock(s.mu);
    s.broken = true;
    s.changed.notify_all();
  });
  bool first = true;
  while (true) {
    v1::ScoreRequest request;
    {
      MutexLock lock(s.mu);
      lock.WaitUntil(s.changed, kNoDeadline, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(s.mu) {
        return s.stop || s.broken || !s.unsent.empty();
      });
      if (s.stop || s.broken) break;
      size_t bytes = 0;
      while (!s.unsent.empty() && bytes < (size_t{1} << 20)) {
        const auto it = s.open.find(s.unsent.front());
        s.unsent.pop_front();
        if (it == s.open.end()) continue;
        *request.add_items() = it->second.item;
        bytes += it->second.item.completion().size();
      }
    }
    if (first) *request.mutable_reward() = s.reward;
    first = false;
    if (!stream->Write(request)) break;
  }
  // The reader ends with the call. A call that the service ended must not be cancelled: its status
  // would be lost. Who stops a stream cancels its context.
  reader.join();
  {
    MutexLock lock(s.mu);
    s.context = nullptr;
  }
  return rpc::FromCall(stream->Finish(), peer_);
}

void RewardClient::Expire(Stream& s, const absl::Status& why, bool all) {
  std::vector<std::function<void(v1::Verdict)>> expired;
  {
    MutexLock lock(s.mu);
    const TimePoint now = std::chrono::steady_clock::now();
    for (auto it = s.open.begin(); it != s.open.end();) {
      if (!all && it->second.deadline > now) {
        ++it;
        continue;
      }
      expired.push_back(std::move(it->second.done));
      it = s.open.erase(it);
    }
  }
  for (auto& done : expired)
    done(Unavailable(all ? std::string(why.message())
                         : absl::StrCat(peer_, " did not answer in time: ", why.message())));
}

}  // namespace hone
