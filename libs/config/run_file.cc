#include "libs/config/run_file.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/config/config.h"
#include "libs/config/defaults.h"
#include "libs/config/error_list.h"
#include "libs/config/validate.h"

namespace hone {
namespace {

void MakeAbsolute(const std::filesystem::path& folder, v1::RunSpec* spec) {
  const auto fix = [&](const std::string& path) {
    if (path.empty()) return path;
    // Appending an absolute path replaces the folder.
    return (folder / path).lexically_normal().string();
  };
  if (spec->has_model()) {
    spec->mutable_model()->set_path(fix(spec->model().path()));
    spec->mutable_model()->set_tokenizer(fix(spec->model().tokenizer()));
    if (spec->model().has_chat())
      spec->mutable_model()->mutable_chat()->set_template_file(
          fix(spec->model().chat().template_file()));
  }
  if (!spec->model().lora().adapter().empty())
    spec->mutable_model()->mutable_lora()->set_adapter(fix(spec->model().lora().adapter()));
  if (spec->has_checkpoint()) spec->mutable_checkpoint()->set_path(fix(spec->checkpoint().path()));
}

}  // namespace

absl::StatusOr<v1::RunSpec> LoadRunSpec(const std::string& path,
                                        const std::vector<std::string>& overrides) {
  std::error_code error;
  const std::filesystem::path here = std::filesystem::current_path(error);
  if (error) return absl::ErrnoToStatus(error.value(), "cannot tell the working directory");

  v1::RunSpec spec;
  ConfigPlaces places;
  HONE_RETURN_IF_ERROR(ReadYamlFile(path, &spec, &places));
  MakeAbsolute((here / path).parent_path(), &spec);
  HONE_RETURN_IF_ERROR(ApplyOverrides(overrides, &spec, &places));
  MakeAbsolute(here, &spec);

  const std::vector<FieldViolation> violations = Validate(spec);
  if (!violations.empty()) {
    ErrorList errors;
    for (const FieldViolation& v : violations)
      errors.Add(PlaceOf(places, v.path, path), absl::StrCat(v.path, ": ", v.message));
    absl::Status status = errors.ToStatus();
    ToStatus(violations).ForEachPayload([&](absl::string_view type, const absl::Cord& payload) {
      status.SetPayload(type, payload);
    });
    return status;
  }
  ApplyDefaults(spec);
  return spec;
}

}  // namespace hone
