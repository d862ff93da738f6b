#pragma once

// The toy checkpoints that have references.

#include <string>

namespace hone {

constexpr const char* kGoldens[] = {
    "dsv2_lite",        "dsv2_group",       "dsv3",       "moonlight",    "llama2_mha",
    "llama31_gqa_tied", "llama_gqa_linear", "qwen2_bias", "qwen3_qknorm", "qwen3_moe"};
// The same weights as dsv3, stored in other ways and so rounded; each has references of its own.
constexpr const char* kStoredForms[] = {"dsv3_sharded_bf16", "dsv3_fp8_b128", "dsv3_fp8_b16"};

inline std::string GoldenPath(const std::string& name) {
  return std::string(HONE_GOLDEN_DIR) + "/models/" + name;
}

}  // namespace hone
