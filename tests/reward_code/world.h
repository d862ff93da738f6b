#pragma once

// A sandbox at the strongest level of this machine, and a scorer `code` in it.

#include <unistd.h>

#include <memory>
#include <string>

#include "libs/base/check.h"
#include "libs/reward/code/scorer.h"
#include "libs/reward/reward_function.h"
#include "tests/reward/items.h"

namespace hone::testing {

class CodeWorld {
 public:
  explicit CodeWorld(int slots = 4, sandbox::Level maximum = sandbox::Level::kCgroups) {
    sandbox::Options options;
    options.minimum = sandbox::Level::kLimits;
    options.maximum = maximum;
    options.slots = slots;
    PrepareForCode(options);
    absl::StatusOr<std::unique_ptr<sandbox::Sandbox>> made = sandbox::Sandbox::Create(options);
    REQUIRE_OK(made);
    sandbox_ = *std::move(made);
    REQUIRE_OK(RegisterCodeScorers(registry_, sandbox_.get()));
  }

  sandbox::Sandbox& sandbox() { return *sandbox_; }

  // `options`: JSON of the scorer's options.
  RewardFunction Function(const std::string& options = "{}") const {
    absl::StatusOr<RewardFunction> function = RewardFunction::Create(
        Spec(R"({"scorers": [{"name": "code", "options": )" + options + "}]}"), registry_);
    REQUIRE_OK(function);
    return *std::move(function);
  }

 private:
  std::unique_ptr<sandbox::Sandbox> sandbox_;
  Registry registry_;
};

// One for all test cases of a process: interpreters and the precompiled header are dear.
inline CodeWorld& World() {
  static auto& world = *new CodeWorld;
  return world;
}

inline bool Has(const char* program) {
  return access(program, X_OK) == 0;
}

#define HONE_NEED(program) \
  if (!Has(program)) HONE_SKIP("there is no " program)

inline google::protobuf::Value TextValue(const std::string& text) {
  google::protobuf::Value value;
  value.set_string_value(text);
  return value;
}

inline void SetText(v1::ScoreItem& item, const std::string& field, const std::string& text) {
  (*item.mutable_prompt()->mutable_metadata()->mutable_fields())[field] = TextValue(text);
}

// A problem of HumanEval's form.
inline v1::ScoreItem CheckItem(const std::string& prompt, const std::string& entry_point,
                               const std::string& test, const std::string& completion) {
  v1::ScoreItem item = Item(completion);
  item.mutable_prompt()->set_text(prompt);
  SetText(item, "entry_point", entry_point);
  SetText(item, "test", test);
  return item;
}

// A problem of MultiPL-E's form.
inline v1::ScoreItem MultiPlItem(const std::string& language, const std::string& prompt,
                                 const std::string& tests, const std::string& completion) {
  v1::ScoreItem item = Item(completion);
  item.mutable_prompt()->set_text(prompt);
  SetText(item, "language", language);
  SetText(item, "tests", tests);
  return item;
}

inline std::string Fenced(const std::string& tag, const std::string& code) {
  return "Here it is:\n```" + tag + "\n" + code + "\n```\n";
}

// "SCORED 1: reason", "TIMEOUT 0 counts: reason".
inline std::string Told(const v1::Verdict& verdict) {
  const v1::ScorePart& p = verdict.parts(0);
  return Said(verdict) + (p.counts() ? " counts: " : ": ") + p.reason();
}

}  // namespace hone::testing
