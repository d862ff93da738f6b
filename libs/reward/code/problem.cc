#include "libs/reward/code/problem.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "google/protobuf/util/json_util.h"
#include "libs/base/status.h"
#include "libs/reward/code/extract.h"

namespace hone::code {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

const Value* Find(const Struct& s, absl::string_view name) {
  const auto it = s.fields().find(std::string(name));
  return it == s.fields().end() ? nullptr : &it->second;
}

std::string Text(const Struct& s, absl::string_view name) {
  const Value* value = Find(s, name);
  return value == nullptr ? "" : value->string_value();
}

absl::Status Wrong(absl::string_view field, absl::string_view expected) {
  return absl::InvalidArgumentError(absl::StrCat("metadata.", field, ": expected ", expected));
}

// Texts of a list; a list of lists of lines, as some data sets have it, is joined.
absl::StatusOr<std::vector<std::string>> Texts(const Value* value, absl::string_view field) {
  std::vector<std::string> texts;
  if (value == nullptr) return texts;
  if (value->kind_case() != Value::kListValue) return Wrong(field, "a list of texts");
  for (const Value& v : value->list_value().values()) {
    std::string text = v.string_value();
    if (v.kind_case() == Value::kListValue) {
      for (const Value& line : v.list_value().values())
        absl::StrAppend(&text, text.empty() ? "" : "\n", line.string_value());
    } else if (v.kind_case() != Value::kStringValue) {
      return Wrong(field, "a list of texts");
    }
    texts.push_back(std::move(text));
  }
  return texts;
}

absl::Status AddCases(const Struct& from, absl::string_view inputs, absl::string_view outputs,
                      absl::string_view field, std::vector<Case>& cases) {
  HONE_ASSIGN_OR_RETURN(std::vector<std::string> in,
                        Texts(Find(from, inputs), absl::StrCat(field, ".", inputs)));
  HONE_ASSIGN_OR_RETURN(std::vector<std::string> out,
                        Texts(Find(from, outputs), absl::StrCat(field, ".", outputs)));
  if (in.size() != out.size())
    return Wrong(field,
                 absl::StrCat("as many inputs as outputs, not ", in.size(), " and ", out.size()));
  for (size_t i = 0; i < in.size(); ++i) cases.push_back({std::move(in[i]), std::move(out[i])});
  return absl::OkStatus();
}

// A value, or the JSON text of one.
absl::StatusOr<Value> Unpacked(const Value& value, absl::string_view field) {
  if (value.kind_case() != Value::kStringValue) return value;
  Value parsed;
  if (!google::protobuf::util::JsonStringToMessage(value.string_value(), &parsed).ok())
    return Wrong(field, "a list or an object, or the JSON text of one");
  return parsed;
}

absl::Status AddCases(const Value& packed, absl::string_view field, std::vector<Case>& cases) {
  HONE_ASSIGN_OR_RETURN(const Value value, Unpacked(packed, field));
  if (value.kind_case() == Value::kStructValue) {
    const Struct& s = value.struct_value();
    if (Find(s, "fn_name") != nullptr)
      return Wrong(field, "programs; functions called by name are not supported");
    return Find(s, "inputs") != nullptr ? AddCases(s, "inputs", "outputs", field, cases)
                                        : AddCases(s, "input", "output", field, cases);
  }
  if (value.kind_case() != Value::kListValue) return Wrong(field, "a list or an object");
  for (const Value& v : value.list_value().values()) {
    const Value* in = Find(v.struct_value(), "input");
    const Value* out = Find(v.struct_value(), "output");
    if (in == nullptr || out == nullptr || in->kind_case() != Value::kStringValue ||
        out->kind_case() != Value::kStringValue)
      return Wrong(field, "a list of objects with texts `input` and `output`");
    cases.push_back({in->string_value(), out->string_value()});
  }
  return absl::OkStatus();
}

// Names that `python` defines at its outer level.
std::vector<std::string> Definitions(absl::string_view python) {
  std::vector<std::string> names;
  for (absl::string_view line : absl::StrSplit(python, '\n')) {
    if (!absl::ConsumePrefix(&line, "def ") && !absl::ConsumePrefix(&line, "class ")) continue;
    size_t end = 0;
    while (end < line.size() && (absl::ascii_isalnum(line[end]) || line[end] == '_')) ++end;
    names.emplace_back(line.substr(0, end));
  }
  return names;
}

// The imports at the outer level of `python`, as statements that may fail.
std::string Imports(absl::string_view python) {
  std::string imports;
  for (absl::string_view line : absl::StrSplit(python, '\n'))
    if (absl::StartsWith(line, "import ") || absl::StartsWith(line, "from "))
      absl::StrAppend(&imports, "try:\n    ", absl::StripAsciiWhitespace(line),
                      "\nexcept ImportError:\n    pass\n");
  return imports;
}

// The raw code prompt: a field of its own, else the prompt itself, else the last code block of a
// prompt that was put into words.
std::string CodePrompt(const v1::Prompt& prompt, const Struct& metadata, Language language) {
  if (std::string own = Text(metadata, "code_prompt"); !own.empty()) return own;
  const std::vector<Fence> fences = FindFences(prompt.text());
  for (auto fence = fences.rbegin(); fence != fences.rend(); ++fence) {
    Language tagged = language;
    if (fence->tag.empty() || (LanguageByName(fence->tag, &tagged) && tagged == language))
      return fence->code;
  }
  return prompt.text();
}

absl::StatusOr<Problem> ReadCheck(const v1::Prompt& prompt, const Struct& metadata) {
  Problem p;
  p.form = Form::kCheck;
  p.entry_point = Text(metadata, "entry_point");
  p.tests = {Text(metadata, "test")};
  if (p.entry_point.empty()) return Wrong("entry_point", "the name of the function under test");
  if (p.tests[0].empty()) return Wrong("test", "Python source that defines check(candidate)");
  p.prompt = CodePrompt(prompt, metadata, Language::kPython);
  return p;
}

absl::StatusOr<Problem> ReadAssertions(const v1::Prompt& prompt, const Struct& metadata) {
  Problem p;
  p.form = Form::kAssertions;
  p.entry_point = Text(metadata, "entry_point");
  // What the tests take from the reference's imports must not be the program's to define.
  const std::string reference = Text(metadata, "code");
  p.own_names = Definitions(reference);
  if (std::string imports = Imports(reference); !imports.empty())
    p.tests.push_back(std::move(imports));
  if (const std::string setup = Text(metadata, "test_setup_code"); !setup.empty())
    p.tests.push_back(setup);
  HONE_ASSIGN_OR_RETURN(const std::vector<std::string> imports,
                        Texts(Find(metadata, "test_imports"), "test_imports"));
  p.tests.insert(p.tests.end(), imports.begin(), imports.end());
  const size_t before = p.tests.size();
  for (const char* field : {"test_list", "challenge_test_list"}) {
    HONE_ASSIGN_OR_RETURN(const std::vector<std::string> tests,
                          Texts(Find(metadata, field), field));
    p.tests.insert(p.tests.end(), tests.begin(), tests.end());
  }
  if (p.tests.size() == before) return Wrong("test_list", "at least one assert statement");
  return p;
}

absl::StatusOr<Problem> ReadMultiPl(const v1::Prompt& prompt, const Struct& metadata,
                                    Language language) {
  Problem p;
  p.form = Form::kMultiPl;
  p.language = language;
  p.tests = {Text(metadata, "tests")};
  p.prompt = CodePrompt(prompt, metadata, language);
  HONE_ASSIGN_OR_RETURN(p.stop, Texts(Find(metadata, "stop_tokens"), "stop_tokens"));
  p.entry_point = PromptedFunction(p.prompt, language);
  if (p.entry_point.empty())
    return absl::InvalidArgumentError(absl::StrCat("the prompt does not end in the head of a ",
                                                   LanguageNames()[static_cast<size_t>(language)],
                                                   " function"));
  return p;
}

}  // namespace

const std::vector<std::string>& LanguageNames() {
  static const std::vector<std::string> names = {"python", "cpp", "javascript", "shell"};
  return names;
}

bool LanguageByName(absl::string_view name, Language* language) {
  static const std::vector<std::vector<absl::string_view>> names = {
      {"python", "py", "python3"},
      {"cpp", "c++", "cc", "cxx"},
      {"javascript", "js", "node", "nodejs"},
      {"shell", "sh", "bash"}};
  const std::string lower = absl::AsciiStrToLower(name);
  for (size_t i = 0; i < names.size(); ++i) {
    if (std::find(names[i].begin(), names[i].end(), lower) == names[i].end()) continue;
    *language = static_cast<Language>(i);
    return true;
  }
  return false;
}

absl::StatusOr<Problem> ReadProblem(const v1::Prompt& prompt, absl::string_view language) {
  const Struct& metadata = prompt.metadata();
  const std::string named = language == "auto" ? Text(metadata, "language") : std::string(language);
  Language known = Language::kPython;
  if (!named.empty() && !LanguageByName(named, &known))
    return absl::InvalidArgumentError(absl::StrCat("unknown language \"", named, "\""));

  const Value* tests = Find(metadata, "tests");
  if (Find(metadata, "test") != nullptr && Find(metadata, "entry_point") != nullptr)
    return ReadCheck(prompt, metadata);
  if (Find(metadata, "test_list") != nullptr) return ReadAssertions(prompt, metadata);
  // Texts in braces or brackets are packed cases; MultiPL-E's tests may begin with a closing brace.
  if (tests != nullptr && tests->kind_case() == Value::kStringValue && !named.empty() &&
      !absl::StartsWith(absl::StripLeadingAsciiWhitespace(tests->string_value()), "{") &&
      !absl::StartsWith(absl::StripLeadingAsciiWhitespace(tests->string_value()), "["))
    return ReadMultiPl(prompt, metadata, known);

  Problem p;
  p.form = Form::kPrograms;
  p.language = known;
  p.any_language = named.empty();
  for (const char* field :
       {"tests", "input_output", "public_tests", "private_tests", "generated_tests"})
    if (const Value* value = Find(metadata, field); value != nullptr)
      HONE_RETURN_IF_ERROR(AddCases(*value, field, p.cases));
  if (p.cases.empty())
    return absl::InvalidArgumentError(
        "the prompt has no tests: expected the fields of HumanEval (test, entry_point), MBPP "
        "(test_list), MultiPL-E (tests, language) or a contest (tests, input_output, "
        "public_tests)");
  return p;
}

}  // namespace hone::code
