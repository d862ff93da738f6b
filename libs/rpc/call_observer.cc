#include "libs/rpc/call_observer.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "grpcpp/server_context.h"
#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/rpc/status.h"

namespace hone::rpc {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::ServerRpcInfo;

const char* TypeName(ServerRpcInfo::Type type) {
  switch (type) {
    case ServerRpcInfo::Type::UNARY:
      return "unary";
    case ServerRpcInfo::Type::CLIENT_STREAMING:
      return "client_stream";
    case ServerRpcInfo::Type::SERVER_STREAMING:
      return "server_stream";
    case ServerRpcInfo::Type::BIDI_STREAMING:
      return "bidi_stream";
  }
  return "unary";
}

// The metrics of one method. Its address is stable.
class Method {
 public:
  Method(Metrics* metrics, absl::string_view name, ServerRpcInfo::Type type)
      : name_(name), metrics_(metrics) {
    // "/package.Service/Method"
    const size_t slash = name.rfind('/');
    labels_ = {{"grpc_type", TypeName(type)},
               {"grpc_service", std::string(name.substr(1, slash == 0 ? 0 : slash - 1))},
               {"grpc_method", std::string(name.substr(slash + 1))}};
    if (metrics == nullptr) return;
    started_ =
        metrics->AddCounter("grpc_server_started_total", "Calls begun by the server.", labels_);
    seconds_ = metrics->AddHistogram("grpc_server_handling_seconds",
                                     "Time from a call's begin to its status.",
                                     ExponentialBuckets(0.001, 4, 9), labels_);
  }

  const std::string& name() const { return name_; }

  void Start() { started_.Increment(); }

  void Handled(int code, double seconds) {
    if (metrics_ == nullptr) return;
    seconds_.Observe(seconds);
    MutexLock lock(mu_);
    auto it = handled_.find(code);
    if (it == handled_.end()) {
      Labels labels = labels_;
      labels["grpc_code"] = CodeName(code);
      it = handled_
               .emplace(code,
                        metrics_->AddCounter("grpc_server_handled_total",
                                             "Calls completed by the server, by code.", labels))
               .first;
    }
    it->second.Increment();
  }

 private:
  const std::string name_;
  Metrics* const metrics_;
  Labels labels_;
  Counter started_;
  Histogram seconds_;
  Mutex mu_;
  std::map<int, Counter> handled_ ABSL_GUARDED_BY(mu_);  // by code
};

// How loud a failed call is: the server's own trouble, what belongs to waiting and going away, or a
// caller's mistake.
LogLevel LevelOf(int code) {
  switch (code) {
    case grpc::StatusCode::UNKNOWN:
    case grpc::StatusCode::INTERNAL:
    case grpc::StatusCode::DATA_LOSS:
    case grpc::StatusCode::UNIMPLEMENTED:
      return LogLevel::kWarning;
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
    case grpc::StatusCode::UNAVAILABLE:
      return LogLevel::kDebug;
    default:
      return LogLevel::kInfo;
  }
}

class Observer final : public grpc::experimental::Interceptor {
 public:
  Observer(Method* method, ServerRpcInfo* info) : method_(method), info_(info) { method_->Start(); }

  // A call that never sent a status was given up by its caller.
  ~Observer() override {
    if (!handled_) Handle(grpc::Status(grpc::StatusCode::CANCELLED, "the caller is gone"));
  }

  void Intercept(grpc::experimental::InterceptorBatchMethods* batch) override {
    if (batch->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      if (const auto* metadata = batch->GetRecvInitialMetadata()) {
        auto it = metadata->find(kRequestIdKey);
        // It comes from outside and goes into our log.
        if (it != metadata->end())
          request_id_ = std::string(it->second.data(), std::min<size_t>(it->second.size(), 64));
      }
      if (auto* context = info_->server_context()) peer_ = context->peer();
    }
    if (batch->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS))
      Handle(batch->GetSendStatus());
    batch->Proceed();
  }

 private:
  void Handle(const grpc::Status& status) {
    handled_ = true;
    const double seconds = std::chrono::duration<double>(SystemClock::Get().Now() - start_).count();
    method_->Handled(status.error_code(), seconds);
    if (status.ok()) return;
    Log(LevelOf(status.error_code()), "call failed",
        {{"method", method_->name()},
         {"code", CodeName(status.error_code())},
         {"error", status.error_message()},
         {"peer", peer_},
         {"seconds", seconds},
         {"request_id", request_id_}});
  }

  Method* const method_;
  ServerRpcInfo* const info_;
  const TimePoint start_ = SystemClock::Get().Now();
  std::string request_id_;
  std::string peer_;
  bool handled_ = false;
};

class Factory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit Factory(Metrics* metrics) : metrics_(metrics) {}

  // Only called for registered methods, so a peer cannot make new ones.
  grpc::experimental::Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
    if (info->method() == nullptr) return nullptr;
    MutexLock lock(mu_);
    std::unique_ptr<Method>& method = methods_[info->method()];
    if (method == nullptr)
      method = std::make_unique<Method>(metrics_, info->method(), info->type());
    return new Observer(method.get(), info);
  }

 private:
  Metrics* const metrics_;
  Mutex mu_;
  std::map<std::string, std::unique_ptr<Method>> methods_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeCallObserver(
    Metrics* metrics) {
  return std::make_unique<Factory>(metrics);
}

}  // namespace hone::rpc
