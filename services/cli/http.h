#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/http/client.h"

namespace hone::cli {

// GET http://<address><path>, for the probes and metrics of services on this machine. `address` is
// IPv4:port. UNAVAILABLE when nobody answers within `timeout`, or not in HTTP.
absl::StatusOr<http::Response> HttpGet(const std::string& address, const std::string& path,
                                       Duration timeout);

// OK when this process could listen on IPv4:port.
absl::Status CheckPortFree(const std::string& address);

}  // namespace hone::cli
