#include "libs/base/status.h"
#include "libs/json/strict_json.h"
#include "libs/model/save.h"
#include "nlohmann/json.hpp"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

// transformers 5 reads rope_parameters; 4 and most engines read rope_theta and rope_scaling and
// fall back to theta 10000 in silence.
void SpellRopeBothWays(Json& config) {
  Json scaling = Json::object();  // without theta
  Json theta = 10000.0;
  if (config.contains("rope_theta") && !config["rope_theta"].is_null())
    theta = config["rope_theta"];
  for (const char* form : {"rope_parameters", "rope_scaling"}) {
    if (!config.contains(form) || !config[form].is_object()) continue;
    scaling = config[form];
    if (scaling.contains("rope_theta")) theta = scaling["rope_theta"];
    scaling.erase("rope_theta");
    break;
  }
  const Json type = scaling.contains("rope_type") ? scaling["rope_type"]
                    : scaling.contains("type")    ? scaling["type"]
                                                  : Json("default");
  // The older spelling, which remote code of DeepSeek's reads, beside the newer.
  scaling["rope_type"] = scaling["type"] = type;
  config["rope_theta"] = theta;
  config["rope_scaling"] = type == "default" ? Json() : scaling;
  scaling.erase("type");
  scaling["rope_theta"] = theta;
  config["rope_parameters"] = std::move(scaling);
}

}  // namespace

absl::StatusOr<std::string> ExportedConfig(absl::string_view config_json, DType dtype) {
  HONE_RETURN_IF_ERROR(ParseJsonObject(config_json, "config.json").status());
  // Again, for the order of the fields; what throws was refused above.
  Json config = Json::parse(config_json.begin(), config_json.end());
  config.erase("quantization_config");
  config["torch_dtype"] = config["dtype"] = dtype == DType::kBF16 ? "bfloat16" : "float32";
  // transformers 5.24 saves Qwen3-MoE under a name that it alone reads.
  if (config.contains("num_local_experts") && !config.contains("num_experts"))
    config["num_experts"] = config["num_local_experts"];
  SpellRopeBothWays(config);
  return config.dump(2) + "\n";
}

}  // namespace hone
