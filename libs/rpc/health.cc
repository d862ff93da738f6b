#include "libs/rpc/health.h"

#include "absl/strings/str_cat.h"

namespace hone::rpc {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// One Watch call. Its fields are guarded by the service's mutex. A call is started outside that
// mutex, by whoever set the flag that announces it, so that no two threads start one and gRPC may
// call back at once.
class HealthService::Watcher final : public grpc::ServerWriteReactor<HealthCheckResponse> {
 public:
  Watcher(HealthService* service, std::string name) : service_(service), name_(std::move(name)) {}

  // Sends the present state if it is news, or ends the call; nothing while a write is on its way.
  void Update() {
    bool finish = false;
    {
      MutexLock lock(service_->mu_);
      if (writing_ || finished_) return;
      const State state = service_->StateOf(name_);
      if (cancelled_ || (service_->ended_ && sent_ == state)) {
        finished_ = finish = true;
      } else if (sent_ == state) {
        return;
      } else {
        writing_ = true;
        sent_ = state;
        message_.set_status(state);
      }
    }
    if (finish) {
      Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the server is shutting down"));
    } else {
      StartWrite(&message_);
    }
  }

  void OnWriteDone(bool ok) override {
    {
      MutexLock lock(service_->mu_);
      writing_ = false;
      cancelled_ = cancelled_ || !ok;
    }
    Update();
  }
  void OnCancel() override {
    {
      MutexLock lock(service_->mu_);
      cancelled_ = true;
    }
    Update();
  }
  void OnDone() override {
    std::shared_ptr<Watcher> self;  // deletes this at the end, outside the mutex
    MutexLock lock(service_->mu_);
    auto it = service_->watchers_.find(this);
    self = std::move(it->second);
    service_->watchers_.erase(it);
  }

 private:
  HealthService* const service_;
  const std::string name_;
  HealthCheckResponse message_;
  int sent_ = -1;  // state sent last
  bool writing_ = false;
  bool cancelled_ = false;
  bool finished_ = false;
};

HealthService::State HealthService::StateOf(const std::string& service) const {
  if (names_.count(service) == 0) return HealthCheckResponse::SERVICE_UNKNOWN;
  return serving_ ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

void HealthService::SetNames(const std::vector<std::string>& names) {
  {
    MutexLock lock(mu_);
    names_.insert(names.begin(), names.end());
  }
  UpdateAll();
}

void HealthService::SetServing(bool serving) {
  {
    MutexLock lock(mu_);
    if (ended_) return;
    serving_ = serving;
  }
  UpdateAll();
}

void HealthService::End() {
  {
    MutexLock lock(mu_);
    serving_ = false;
    ended_ = true;
  }
  UpdateAll();
}

void HealthService::UpdateAll() {
  std::vector<std::shared_ptr<Watcher>> watchers;
  {
    MutexLock lock(mu_);
    for (const auto& [key, watcher] : watchers_) watchers.push_back(watcher);
  }
  for (const auto& watcher : watchers) watcher->Update();
}

grpc::ServerUnaryReactor* HealthService::Check(grpc::CallbackServerContext* context,
                                               const HealthCheckRequest* request,
                                               HealthCheckResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  State state;
  {
    MutexLock lock(mu_);
    state = StateOf(request->service());
  }
  if (state == HealthCheckResponse::SERVICE_UNKNOWN) {
    reactor->Finish({grpc::StatusCode::NOT_FOUND,
                     absl::StrCat("service \"", request->service(), "\" is not served here")});
  } else {
    response->set_status(state);
    reactor->Finish(grpc::Status::OK);
  }
  return reactor;
}

grpc::ServerWriteReactor<HealthCheckResponse>* HealthService::Watch(
    grpc::CallbackServerContext* /*context*/, const HealthCheckRequest* request) {
  auto watcher = std::make_shared<Watcher>(this, request->service());
  {
    MutexLock lock(mu_);
    watchers_.emplace(watcher.get(), watcher);
  }
  watcher->Update();
  return watcher.get();
}

}  // namespace hone::rpc
