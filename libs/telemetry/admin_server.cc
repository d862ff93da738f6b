#include "libs/telemetry/admin_server.h"

#include <civetweb.h>

#include <cstring>
#include <regex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/log.h"
#include "libs/telemetry/process_metrics.h"
#include "libs/telemetry/version.h"

namespace hone {
namespace {

constexpr char kText[] = "text/plain; charset=utf-8";

const char* ReasonPhrase(int code) {
  return code == 200   ? "OK"
         : code == 404 ? "Not Found"
         : code == 405 ? "Method Not Allowed"
                       : "Service Unavailable";
}

}  // namespace

AdminServer::AdminServer(AdminOptions options, Metrics& metrics)
    : options_(std::move(options)), metrics_(metrics) {
  for (const std::string& condition : options_.conditions)
    conditions_[condition] = absl::UnavailableError("not yet");
}

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(AdminOptions options,
                                                                Metrics& metrics) {
  // "8080s" would ask for TLS and "80,81" for two ports.
  static const std::regex address(R"(([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5})");
  if (!std::regex_match(options.listen, address))
    return absl::InvalidArgumentError(absl::StrCat("admin server: cannot listen on \"",
                                                   options.listen, "\", expected host:port"));
  std::unique_ptr<AdminServer> server(new AdminServer(std::move(options), metrics));
  mg_init_library(0);
  mg_callbacks callbacks{};
  callbacks.log_message = &AdminServer::KeepMessage;
  // Four threads: one for each of two Prometheus servers, a probe and a person.
  const char* settings[] = {"listening_ports",
                            server->options_.listen.c_str(),
                            "num_threads",
                            "4",
                            "request_timeout_ms",
                            "10000",
                            "enable_directory_listing",
                            "no",
                            nullptr};
  server->context_ = mg_start(&callbacks, server.get(), settings);
  if (server->context_ == nullptr) {
    MutexLock lock(server->mu_);
    return absl::UnavailableError(
        absl::StrCat("admin server: cannot listen on ", server->options_.listen, ": ",
                     server->first_message_.empty() ? "unknown cause" : server->first_message_));
  }
  mg_server_port port;
  if (mg_get_server_ports(server->context_, 1, &port) != 1)
    return absl::InternalError(absl::StrCat("admin server: no port on ", server->options_.listen));
  server->port_ = port.port;
  mg_set_request_handler(server->context_, "/", &AdminServer::Handle, server.get());
  server->process_metrics_ = ExportProcessMetrics(metrics);
  Log(LogLevel::kInfo, "admin server listens",
      {{"address", server->options_.listen}, {"port", server->port_}});
  return server;
}

AdminServer::~AdminServer() {
  if (context_ != nullptr) mg_stop(context_);
  mg_exit_library();
}

// civetweb says what is wrong only through its log.
int AdminServer::KeepMessage(const mg_connection* connection, const char* message) {
  const mg_context* context = mg_get_context(connection);
  if (context == nullptr) return 1;
  auto* server = static_cast<AdminServer*>(mg_get_user_data(context));
  MutexLock lock(server->mu_);
  if (server->first_message_.empty()) server->first_message_ = message;  // Later ones are vaguer.
  return 1;  // Not to civetweb's own log file as well.
}

void AdminServer::SetCondition(absl::string_view condition, absl::Status state) {
  MutexLock lock(mu_);
  const auto at = conditions_.find(condition);
  HONE_CHECK(at != conditions_.end()) << "the admin server has no condition " << condition;
  at->second = std::move(state);
  bool all = true;
  for (const auto& [name, status] : conditions_) all = all && status.ok();
  was_ready_ = was_ready_ || all;
}

void AdminServer::SetDraining() {
  MutexLock lock(mu_);
  draining_ = true;
}

bool AdminServer::ready() const {
  return Readiness().code == 200;
}

AdminServer::Answer AdminServer::Readiness() const {
  MutexLock lock(mu_);
  std::string body;
  bool all = !draining_;
  if (draining_) body += "[-] draining\n";
  for (const auto& [name, status] : conditions_) {
    all = all && status.ok();
    absl::StrAppend(&body, status.ok() ? "[+] " : "[-] ", name, status.ok() ? "" : ": ",
                    status.message(), "\n");
  }
  absl::StrAppend(&body, all ? "ready\n" : "not ready\n");
  return {all ? 200 : 503, kText, std::move(body)};
}

AdminServer::Answer AdminServer::Respond(absl::string_view path) const {
  if (path == "/metrics")
    return {200, "text/plain; version=0.0.4; charset=utf-8", metrics_.Render()};
  if (path == "/livez") {
    const absl::Status alive = options_.alive ? options_.alive() : absl::OkStatus();
    if (alive.ok()) return {200, kText, "alive\n"};
    return {503, kText, absl::StrCat(alive.message(), "\n")};
  }
  if (path == "/readyz") return Readiness();
  if (path == "/startupz") {
    MutexLock lock(mu_);
    if (was_ready_ || conditions_.empty()) return {200, kText, "started\n"};
    return {503, kText, "starting\n"};
  }
  if (path == "/version") {
    using internal::JsonString;
    const BuildVersion& v = Version();
    return {200, "application/json",
            absl::StrCat("{\"service\":", JsonString(options_.service), ",\"version\":",
                         JsonString(v.version), ",\"commit\":", JsonString(v.commit),
                         ",\"build_type\":", JsonString(v.build_type),
                         ",\"compiler\":", JsonString(v.compiler), "}\n")};
  }
  return {404, kText, "try /metrics /livez /readyz /startupz /version\n"};
}

int AdminServer::Handle(mg_connection* connection, void* self) {
  const mg_request_info* request = mg_get_request_info(connection);
  const bool head = std::strcmp(request->request_method, "HEAD") == 0;
  Answer answer{405, kText, "only GET and HEAD\n"};
  if (head || std::strcmp(request->request_method, "GET") == 0)
    answer = static_cast<const AdminServer*>(self)->Respond(request->local_uri);
  mg_printf(
      connection,
      "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
      "%sConnection: close\r\n\r\n",
      answer.code, ReasonPhrase(answer.code), answer.type.c_str(), answer.body.size(),
      answer.code == 405 ? "Allow: GET, HEAD\r\n" : "");
  if (!head) mg_write(connection, answer.body.data(), answer.body.size());
  return answer.code;
}

}  // namespace hone
