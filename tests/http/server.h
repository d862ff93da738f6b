#pragma once

// An HTTP server inside a test, to play services that behave well or badly.

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "libs/base/clock.h"

struct mg_context;
struct mg_connection;

namespace hone::testing {

struct ServerRequest {
  std::string method;
  std::string path;
  std::string authorization;  // the header; empty: none
  std::string body;
};

struct ServerReply {
  int code = 200;
  std::string body;
  std::string headers;  // whole lines, each with its \r\n
  Duration delay{0};    // before the first byte
  Duration drip{0};     // after each byte of the body
  bool raw = false;     // `body` is all that is sent: no status line, no headers
  int64_t claim = -1;   // Content-Length, if not that of `body`
};

class Server {
 public:
  using Handler = std::function<ServerReply(const ServerRequest&)>;

  // Calls `handler` from several threads at once.
  explicit Server(Handler handler, int threads = 16);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // "http://127.0.0.1:<port>".
  const std::string& url() const { return url_; }
  int requests() const { return requests_; }
  int most_at_once() const { return most_; }

 private:
  static int Handle(mg_connection* connection, void* self);

  const Handler handler_;
  std::atomic<bool> ending_{false};
  std::atomic<int> requests_{0}, running_{0}, most_{0};
  std::string url_;
  int port_ = 0;
  mg_context* context_;
};

}  // namespace hone::testing
