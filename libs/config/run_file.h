#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/hone/v1/config.pb.h"

namespace hone {

// Reads a run file, applies `overrides` ("path=value", see ApplyOverrides), fills the documented
// defaults and validates. Relative model.path, model.tokenizer, model.lora.adapter,
// model.chat.template_file and checkpoint.path are made absolute: those in the file start at the
// file's folder, those in an override at the working directory, as in every other command-line
// argument.
//
// INVALID_ARGUMENT lists up to 20 errors, one "file:line:column: path: what (expected what)" per
// line, with a google.rpc.BadRequest payload when the types were right and the rules of validate.h
// were broken.
absl::StatusOr<v1::RunSpec> LoadRunSpec(const std::string& path,
                                        const std::vector<std::string>& overrides = {});

}  // namespace hone
