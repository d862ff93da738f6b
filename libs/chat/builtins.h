#pragma once

// The filters, tests and methods of chat templates. Pure functions; internal to libs/chat.
// INVALID_ARGUMENT for wrong types and arguments, RESOURCE_EXHAUSTED when the budget is spent.

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "libs/chat/value.h"

namespace hone {

struct CallArguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;

  // In the order of `parameters`; null where not given. INVALID_ARGUMENT for one that fits none.
  absl::StatusOr<std::vector<const Value*>> Bind(
      absl::Span<const absl::string_view> parameters) const;
};

bool IsFilter(absl::string_view name);
bool IsTest(absl::string_view name);

// `object` | name(arguments)
absl::StatusOr<Value> ApplyFilter(absl::string_view name, const Value& object,
                                  const CallArguments& arguments, Budget* budget);
// `object` is name(arguments)
absl::StatusOr<bool> ApplyTest(absl::string_view name, const Value& object,
                               const CallArguments& arguments, Budget* budget);
// `object`.name(arguments)
absl::StatusOr<Value> CallMethod(absl::string_view name, const Value& object,
                                 const CallArguments& arguments, Budget* budget);

// `object`.key, as templates see it: an undefined value when there is none.
absl::StatusOr<Value> Attribute(const Value& object, absl::string_view key);
// What a loop over `value` meets: elements, keys, characters.
absl::StatusOr<List> Elements(const Value& value, Budget* budget);
// `value`[begin:end:step], null where left out.
absl::StatusOr<Value> Slice(const Value& value, const Value* begin, const Value* end,
                            const Value* step, Budget* budget);

// Text functions, in text_functions.cc.
int64_t Characters(const Text& text);
// Cut to [begin, end) without characters of `chars` (null: white space) at the ends wanted.
Text Strip(const Text& text, const Text* chars, bool left, bool right);
// At most `limit` cuts unless negative; a null separator is a run of white space.
absl::StatusOr<List> SplitText(const Text& text, const Text* separator, int64_t limit,
                               bool from_right, Budget* budget);
absl::StatusOr<Text> Replace(const Text& text, const Text& from, const Text& to, int64_t limit,
                             Budget* budget);
enum class Case { kUpper, kLower, kCapital, kTitle };
// Of ASCII letters; others stay.
Text ChangeCase(const Text& text, Case to);
absl::StatusOr<Text> Indent(const Text& text, int64_t width, bool first, bool blank,
                            Budget* budget);

}  // namespace hone
