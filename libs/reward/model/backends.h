#pragma once

// The models that a reward service may ask, by name.

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/http/endpoint.h"
#include "proto/hone/v1/verifiers.pb.h"

namespace hone {

struct ModelBackend {
  std::unique_ptr<http::Endpoint> endpoint;
  std::string model;  // may be empty
};

// Immutable after Create; the endpoints are thread-safe.
class ModelBackends {
 public:
  ModelBackends() = default;  // none

  // One for each of spec.backends. Errors of http::FromSpec.
  static absl::StatusOr<ModelBackends> Create(const v1::VerifiersSpec& spec);

  // INVALID_ARGUMENT that names the known ones.
  absl::StatusOr<const ModelBackend*> Find(absl::string_view name) const;
  bool empty() const { return backends_.empty(); }

 private:
  std::map<std::string, ModelBackend> backends_;
};

}  // namespace hone
