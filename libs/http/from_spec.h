#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/http/endpoint.h"
#include "proto/hone/v1/verifiers.pb.h"

namespace hone::http {

// The endpoint that `spec` describes; reads its API key. INVALID_ARGUMENT for values out of range,
// the errors of LoadApiKey; `where` stands before each message.
absl::StatusOr<std::unique_ptr<Endpoint>> FromSpec(const v1::BackendSpec& spec,
                                                   absl::string_view where);

}  // namespace hone::http
