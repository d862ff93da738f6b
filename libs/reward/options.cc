#include "libs/reward/options.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/config/suggest.h"

namespace hone {

using google::protobuf::Value;

const Value* Options::Find(absl::string_view name, v1::ScorerOption::Kind kind,
                           absl::string_view fallback) {
  v1::ScorerOption& option = known_.emplace_back();
  option.set_name(std::string(name));
  option.set_kind(kind);
  option.set_fallback(std::string(fallback));
  auto it = values_.fields().find(option.name());
  return it == values_.fields().end() ? nullptr : &it->second;
}

void Options::Fail(absl::string_view name, absl::string_view expected, const Value& value) {
  if (!status_.ok()) return;
  status_ = absl::InvalidArgumentError(absl::StrCat("option \"", name, "\" of scorer \"", scorer_,
                                                    "\" is ", value.ShortDebugString(),
                                                    ", expected ", expected));
}

bool Options::Has(absl::string_view name) const {
  return values_.fields().find(std::string(name)) != values_.fields().end();
}

std::string Options::String(absl::string_view name, absl::string_view fallback) {
  const Value* value = Find(name, v1::ScorerOption::KIND_STRING, fallback);
  if (value == nullptr) return std::string(fallback);
  if (value->kind_case() != Value::kStringValue) {
    Fail(name, "a string", *value);
    return std::string(fallback);
  }
  return value->string_value();
}

bool Options::Bool(absl::string_view name, bool fallback) {
  const Value* value = Find(name, v1::ScorerOption::KIND_BOOL, fallback ? "true" : "false");
  if (value == nullptr) return fallback;
  if (value->kind_case() != Value::kBoolValue) {
    Fail(name, "true or false", *value);
    return fallback;
  }
  return value->bool_value();
}

std::string Options::Choice(absl::string_view name, absl::string_view fallback,
                            const std::vector<std::string>& allowed) {
  const Value* value = Find(name, v1::ScorerOption::KIND_CHOICE, fallback);
  for (const std::string& choice : allowed) known_.back().add_choices(choice);
  if (value == nullptr) return std::string(fallback);
  if (value->kind_case() != Value::kStringValue ||
      std::find(allowed.begin(), allowed.end(), value->string_value()) == allowed.end()) {
    Fail(name, absl::StrCat("one of ", absl::StrJoin(allowed, ", ")), *value);
    return std::string(fallback);
  }
  return value->string_value();
}

double Options::Number(absl::string_view name, double fallback, double least, double most) {
  const Value* value = Find(name, v1::ScorerOption::KIND_NUMBER, absl::StrCat(fallback));
  const std::string range = absl::StrCat(least, " to ", most);
  known_.back().set_expected(range);
  if (value == nullptr) return fallback;
  const double number = value->number_value();
  if (value->kind_case() != Value::kNumberValue || !(number >= least && number <= most)) {
    Fail(name, absl::StrCat("a number from ", range), *value);
    return fallback;
  }
  return number;
}

int64_t Options::Integer(absl::string_view name, int64_t fallback, int64_t least, int64_t most) {
  const Value* value = Find(name, v1::ScorerOption::KIND_INTEGER, absl::StrCat(fallback));
  const std::string range = absl::StrCat(least, " to ", most);
  known_.back().set_expected(range);
  if (value == nullptr) return fallback;
  const double number = value->number_value();
  if (value->kind_case() != Value::kNumberValue || number != std::floor(number) ||
      !(number >= static_cast<double>(least) && number <= static_cast<double>(most))) {
    Fail(name, absl::StrCat("an integer from ", range), *value);
    return fallback;
  }
  return static_cast<int64_t>(number);
}

absl::Status Options::Check() const {
  if (!status_.ok()) return status_;
  std::vector<std::string> names;
  for (const v1::ScorerOption& option : known_) names.push_back(option.name());
  // A Struct is a hash map: the smallest unknown name, so that the message is always the same.
  const std::string* unknown = nullptr;
  for (const auto& [name, value] : values_.fields()) {
    bool known = std::find(names.begin(), names.end(), name) != names.end();
    if (!known && (unknown == nullptr || name < *unknown)) unknown = &name;
  }
  if (unknown == nullptr) return absl::OkStatus();
  const std::string near = Closest(*unknown, names);
  return absl::InvalidArgumentError(
      absl::StrCat("unknown option \"", *unknown, "\" of scorer \"", scorer_, "\"",
                   near.empty() ? "" : absl::StrCat("; did you mean \"", near, "\"?"),
                   "; known options: ", names.empty() ? "none" : absl::StrJoin(names, ", ")));
}

}  // namespace hone
