#include "libs/reward/model/backends.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/status.h"
#include "libs/http/from_spec.h"

namespace hone {

absl::StatusOr<ModelBackends> ModelBackends::Create(const v1::VerifiersSpec& spec) {
  ModelBackends backends;
  for (const auto& [name, backend] : spec.backends()) {
    HONE_ASSIGN_OR_RETURN(auto endpoint, http::FromSpec(backend, absl::StrCat("backends.", name)));
    backends.backends_[name] = {std::move(endpoint), backend.model()};
  }
  return backends;
}

absl::StatusOr<const ModelBackend*> ModelBackends::Find(absl::string_view name) const {
  const auto it = backends_.find(std::string(name));
  if (it != backends_.end()) return &it->second;
  const auto join = [](std::string* out, const auto& entry) { out->append(entry.first); };
  return absl::InvalidArgumentError(absl::StrCat(
      "backend \"", name, "\" is not known; known: ", absl::StrJoin(backends_, ", ", join)));
}

}  // namespace hone
