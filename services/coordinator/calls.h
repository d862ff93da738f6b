#pragma once

// What all adaptors of the coordinator do with a call.

#include <functional>
#include <memory>
#include <utility>

#include "google/protobuf/duration.pb.h"
#include "grpcpp/support/server_callback.h"
#include "libs/buffer/buffer.h"
#include "libs/rpc/status.h"
#include "services/coordinator/long_polls.h"

namespace hone {

// Moves what a call returned into the response.
template <typename T>
absl::Status Take(absl::StatusOr<T> result, T* response) {
  if (result.ok()) *response = *std::move(result);
  return result.status();
}

// Ends the call when everything that the answer says is on the disk.
inline void Answer(Buffer& buffer, grpc::ServerUnaryReactor* reactor, absl::Status status) {
  buffer.WhenSynced([reactor, status = std::move(status)](const absl::Status& synced) {
    reactor->Finish(rpc::ToGrpc(status.ok() ? synced : status));
  });
}

// For calls that answer at once: `call` fills the response.
inline grpc::ServerUnaryReactor* AnswerNow(grpc::CallbackServerContext* context, Buffer& buffer,
                                           const std::function<absl::Status()>& call) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  Answer(buffer, reactor, call());
  return reactor;
}

// A caller's `wait`: negative ones are none, long ones are cut so that dead callers are noticed.
inline Duration WaitOf(const google::protobuf::Duration& wait) {
  constexpr int64_t kMaxSeconds = 60;
  if (wait.seconds() < 0 || wait.nanos() < 0) return Duration::zero();
  if (wait.seconds() >= kMaxSeconds) return std::chrono::seconds(kMaxSeconds);
  return std::chrono::seconds(wait.seconds()) + std::chrono::nanoseconds(wait.nanos());
}

// For calls that may wait: `look` returns whether the answer is worth giving now, and the status
// that it has if so. It is tried again on every change of `topics`; what it returned last is the
// answer at the end of `wait`.
struct Look {
  bool enough = true;
  absl::Status status;
};
inline grpc::ServerUnaryReactor* AnswerLater(grpc::CallbackServerContext* context, Buffer& buffer,
                                             LongPolls& polls, Topics topics, Duration wait,
                                             std::function<Look()> look) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const uint64_t seen = polls.now();
  const Look first = look();
  if (first.enough || wait <= Duration::zero()) {
    Answer(buffer, reactor, first.status);
    return reactor;
  }
  polls.Wait(topics, seen, SystemClock::Get().Now() + wait,
             [context, &buffer, reactor, look = std::move(look)](bool last) {
               // Nothing is leased to a caller who has hung up.
               if (context->IsCancelled()) {
                 reactor->Finish(grpc::Status::CANCELLED);
                 return true;
               }
               const Look again = look();
               if (!again.enough && !last) return false;
               Answer(buffer, reactor, again.status);
               return true;
             });
  return reactor;
}

}  // namespace hone
