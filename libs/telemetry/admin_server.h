#pragma once

// The plain-HTTP side door of every process, for probes, Prometheus and people. Nothing here
// changes state.
//   /metrics   Prometheus' text format
//   /livez     200 while the process is worth keeping; never depends on other processes
//   /readyz    200 when every condition is met, else 503 and which are not
//   /startupz  200 once /readyz has been 200, from then on for good
//   /version   JSON: version, commit, build type, compiler, service
// No TLS and no login: listen on the loopback or a cluster-internal address.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/mutex.h"
#include "libs/telemetry/metrics.h"

struct mg_connection;
struct mg_context;

namespace hone {

struct AdminOptions {
  // "host:port" or "[v6]:port"; port 0 picks a free one.
  std::string listen = "127.0.0.1:0";
  // Shown by /version: "learner".
  std::string service;
  // What has to be met before the process is ready, e.g. {"weights", "registered"}. None is at
  // first.
  std::vector<std::string> conditions;
  // Not OK makes /livez 503 with the message, after which an orchestrator kills the process: only
  // for "my loop is stuck". Called from the server's threads. Null: always alive.
  std::function<absl::Status()> alive;
};

// Thread-safe.
class AdminServer {
 public:
  // UNAVAILABLE with the address when it cannot be listened on; INVALID_ARGUMENT when it is none.
  // `metrics` must outlive the server; process_* and hone_build_info are added to it for as long as
  // the server lives. One server per Metrics.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(AdminOptions options, Metrics& metrics);
  // Closes the port and waits for answers in progress.
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  int port() const { return port_; }

  // `condition` is one of options.conditions; `state` not OK says why it is not met.
  void SetCondition(absl::string_view condition, absl::Status state);
  // Not ready from now on, whatever the conditions; the first thing to do on SIGTERM.
  void SetDraining();
  bool ready() const;

 private:
  struct Answer {
    int code;
    std::string type;
    std::string body;
  };
  AdminServer(AdminOptions options, Metrics& metrics);
  Answer Respond(absl::string_view path) const;
  Answer Readiness() const;
  static int Handle(mg_connection* connection, void* self);
  static int KeepMessage(const mg_connection* connection, const char* message);

  const AdminOptions options_;
  Metrics& metrics_;
  std::vector<Metrics::Callback> process_metrics_;
  mutable Mutex mu_;
  std::map<std::string, absl::Status, std::less<>> conditions_ ABSL_GUARDED_BY(mu_);
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  bool was_ready_ ABSL_GUARDED_BY(mu_) = false;
  std::string first_message_ ABSL_GUARDED_BY(mu_);
  int port_ = 0;
  mg_context* context_ = nullptr;
};

}  // namespace hone
