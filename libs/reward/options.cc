#include "libs/reward/options.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace hone {

using google::protobuf::Value;

const Value* Options::Find(absl::string_view name) {
  known_.emplace_back(name);
  auto it = values_.fields().find(known_.back());
  return it == values_.fields().end() ? nullptr : &it->second;
}

void Options::Fail(absl::string_view name, absl::string_view expected, const Value& value) {
  if (!status_.ok()) return;
  status_ = absl::InvalidArgumentError(absl::StrCat("option \"", name, "\" of scorer \"", scorer_,
                                                    "\" is ", value.ShortDebugString(),
                                                    ", expected ", expected));
}

std::string Options::String(absl::string_view name, absl::string_view fallback) {
  const Value* value = Find(name);
  if (value == nullptr) return std::string(fallback);
  if (value->kind_case() != Value::kStringValue) {
    Fail(name, "a string", *value);
    return std::string(fallback);
  }
  return value->string_value();
}

bool Options::Bool(absl::string_view name, bool fallback) {
  const Value* value = Find(name);
  if (value == nullptr) return fallback;
  if (value->kind_case() != Value::kBoolValue) {
    Fail(name, "true or false", *value);
    return fallback;
  }
  return value->bool_value();
}

double Options::Number(absl::string_view name, double fallback, double low, double high) {
  const Value* value = Find(name);
  if (value == nullptr) return fallback;
  if (value->kind_case() != Value::kNumberValue ||
      !(value->number_value() >= low && value->number_value() <= high)) {
    Fail(name, absl::StrCat("a number from ", low, " to ", high), *value);
    return fallback;
  }
  return value->number_value();
}

std::string Options::Choice(absl::string_view name, absl::string_view fallback,
                            const std::vector<std::string>& allowed) {
  const Value* value = Find(name);
  if (value == nullptr) return std::string(fallback);
  if (value->kind_case() != Value::kStringValue ||
      std::find(allowed.begin(), allowed.end(), value->string_value()) == allowed.end()) {
    Fail(name, absl::StrCat("one of ", absl::StrJoin(allowed, ", ")), *value);
    return std::string(fallback);
  }
  return value->string_value();
}

absl::Status Options::Check() const {
  if (!status_.ok()) return status_;
  // A Struct is a hash map: the smallest unknown name, so that the message is always the same.
  const std::string* unknown = nullptr;
  for (const auto& [name, value] : values_.fields()) {
    bool known = std::find(known_.begin(), known_.end(), name) != known_.end();
    if (!known && (unknown == nullptr || name < *unknown)) unknown = &name;
  }
  if (unknown == nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("unknown option \"", *unknown, "\" of scorer \"", scorer_,
                   "\"; known options: ", known_.empty() ? "none" : absl::StrJoin(known_, ", ")));
}

}  // namespace hone
