#include "tests/http/server.h"

#include <civetweb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/file.h"

namespace hone::testing {

Server::Server(Handler handler, int threads) : handler_(std::move(handler)) {
  mg_init_library(0);
  const std::string count = std::to_string(threads);
  const char* options[] = {"listening_ports", "127.0.0.1:0", "num_threads", count.c_str(), nullptr};
  context_ = mg_start(nullptr, nullptr, options);
  HONE_CHECK(context_ != nullptr) << "no test server";
  mg_set_request_handler(context_, "**", &Server::Handle, this);
  mg_server_port port{};
  HONE_CHECK(mg_get_server_ports(context_, 1, &port) == 1) << "no port";
  port_ = port.port;
  url_ = absl::StrCat("http://127.0.0.1:", port.port);
}

Server::~Server() {
  ending_ = true;
  // civetweb looks every two seconds whether it is to end, and at each connection.
  std::atomic<bool> stopped{false};
  std::thread knocking([&] {
    while (!stopped) {
      SystemClock::Get().SleepFor(std::chrono::milliseconds(5));
      const FileDescriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(static_cast<uint16_t>(port_));
      to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to);
    }
  });
  mg_stop(context_);
  stopped = true;
  knocking.join();
  mg_exit_library();
}

int Server::Handle(mg_connection* connection, void* self) {
  Server& server = *static_cast<Server*>(self);
  ++server.requests_;
  const int running = ++server.running_;
  for (int most = server.most_;
       most < running && !server.most_.compare_exchange_weak(most, running);) {
  }
  const mg_request_info& info = *mg_get_request_info(connection);
  ServerRequest request{info.request_method, info.request_uri, "", ""};
  if (const char* value = mg_get_header(connection, "Authorization")) request.authorization = value;
  char buffer[4096];
  for (int n; (n = mg_read(connection, buffer, sizeof buffer)) > 0;)
    request.body.append(buffer, static_cast<size_t>(n));

  const ServerReply reply = server.handler_(request);
  const auto pause = [&](Duration duration) {
    const TimePoint until = SystemClock::Get().Now() + duration;
    while (!server.ending_ && SystemClock::Get().Now() < until)
      SystemClock::Get().SleepFor(std::min<Duration>(duration, std::chrono::milliseconds(5)));
  };
  pause(reply.delay);
  --server.running_;  // before the client can see the end and send the next one
  std::string head;
  if (!reply.raw)
    head = absl::StrCat("HTTP/1.1 ", reply.code, " x\r\nContent-Length: ",
                        reply.claim >= 0 ? reply.claim : static_cast<int64_t>(reply.body.size()),
                        "\r\nConnection: close\r\n", reply.headers, "\r\n");
  mg_write(connection, head.data(), head.size());
  if (reply.drip == Duration(0)) {
    mg_write(connection, reply.body.data(), reply.body.size());
  } else {
    for (size_t i = 0; i < reply.body.size() && !server.ending_; ++i) {
      if (mg_write(connection, &reply.body[i], 1) <= 0) break;
      pause(reply.drip);
    }
  }
  return reply.raw ? 200 : reply.code;
}

}  // namespace hone::testing
