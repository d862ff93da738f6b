#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/chat/builtins.h"
#include "libs/tokenizer/unicode.h"

namespace hone {
namespace {

// str.isspace of Python.
bool IsSpace(char32_t c) {
  return IsWhitespace(c) || (c >= 0x1C && c <= 0x1F);
}

size_t Previous(const std::string& s, size_t at) {
  do {
    --at;
  } while (at > 0 && (s[at] & 0xC0) == 0x80);
  return at;
}

bool Within(const Text* chars, absl::string_view character, char32_t c) {
  return chars == nullptr
             ? IsSpace(c)
             : absl::string_view(chars->bytes()).find(character) != absl::string_view::npos;
}

}  // namespace

int64_t Characters(const Text& text) {
  return std::count_if(text.bytes().begin(), text.bytes().end(),
                       [](char c) { return (c & 0xC0) != 0x80; });
}

Text Strip(const Text& text, const Text* chars, bool left, bool right) {
  const std::string& s = text.bytes();
  size_t begin = 0;
  size_t end = s.size();
  while (left && begin < end) {
    const CodePoint c = CodePointAt(s, begin);
    if (!Within(chars, absl::string_view(s).substr(begin, c.length), c.value)) break;
    begin += c.length;
  }
  while (right && begin < end) {
    const size_t at = Previous(s, end);
    if (!Within(chars, absl::string_view(s).substr(at, end - at), CodePointAt(s, at).value)) break;
    end = at;
  }
  return text.Cut(begin, end);
}

absl::StatusOr<List> SplitText(const Text& text, const Text* separator, int64_t limit,
                               bool from_right, Budget* budget) {
  const std::string& s = text.bytes();
  HONE_RETURN_IF_ERROR(budget->Bytes(s.size()));
  std::vector<std::pair<size_t, size_t>> cuts;  // where separators stand
  if (separator != nullptr) {
    const std::string& sep = separator->bytes();
    if (sep.empty()) return absl::InvalidArgumentError("split with an empty separator");
    const auto wanted = [&] { return limit < 0 || static_cast<int64_t>(cuts.size()) < limit; };
    if (from_right) {
      size_t end = s.size();
      while (wanted() && end >= sep.size()) {
        const size_t at = s.rfind(sep, end - sep.size());
        if (at == std::string::npos) break;
        cuts.emplace_back(at, at + sep.size());
        end = at;
      }
      std::reverse(cuts.begin(), cuts.end());
    } else {
      for (size_t at = 0; wanted() && (at = s.find(sep, at)) != std::string::npos; at += sep.size())
        cuts.emplace_back(at, at + sep.size());
    }
  } else {
    if (limit >= 0) return absl::InvalidArgumentError("split with a limit needs a separator");
    for (size_t at = 0; at < s.size();) {
      size_t end = at;
      while (end < s.size() && IsSpace(CodePointAt(s, end).value))
        end += CodePointAt(s, end).length;
      if (end > at) cuts.emplace_back(at, end);
      at = end < s.size() ? end + CodePointAt(s, end).length : end;
    }
  }
  HONE_RETURN_IF_ERROR(budget->Bytes(cuts.size() * sizeof(Value)));
  List parts;
  size_t done = 0;
  for (const auto& [begin, end] : cuts) {
    if (separator != nullptr || begin > done) parts.push_back(Value::String(text.Cut(done, begin)));
    done = end;
  }
  if (separator != nullptr || done < s.size())
    parts.push_back(Value::String(text.Cut(done, s.size())));
  return parts;
}

absl::StatusOr<Text> Replace(const Text& text, const Text& from, const Text& to, int64_t limit,
                             Budget* budget) {
  if (from.empty()) return absl::InvalidArgumentError("replace of an empty text");
  HONE_RETURN_IF_ERROR(budget->Bytes(text.size()));
  Text out;
  size_t done = 0;
  for (size_t at = 0; limit != 0 && (at = text.bytes().find(from.bytes(), at)) != std::string::npos;
       at += from.size(), --limit) {
    HONE_RETURN_IF_ERROR(budget->Bytes(to.size() + 1));
    out.Append(text.Cut(done, at));
    out.Append(to);
    done = at + from.size();
  }
  out.Append(text.Cut(done, text.size()));
  return out;
}

Text ChangeCase(const Text& text, Case to) {
  std::string bytes = text.bytes();
  bool inside = false;  // a word has begun
  for (char& c : bytes) {
    const bool letter = absl::ascii_isalpha(static_cast<unsigned char>(c)) || (c & 0x80) != 0;
    const bool up = to == Case::kUpper || (to != Case::kLower && !inside);
    c = up ? absl::ascii_toupper(static_cast<unsigned char>(c))
           : absl::ascii_tolower(static_cast<unsigned char>(c));
    inside = to == Case::kTitle ? letter : true;
  }
  return text.WithBytes(std::move(bytes));
}

absl::StatusOr<Text> Indent(const Text& text, int64_t width, bool first, bool blank,
                            Budget* budget) {
  if (width < 0 || width > 64)
    return absl::InvalidArgumentError(absl::StrCat("indent of ", width, ", expected 0 to 64"));
  const std::string margin(static_cast<size_t>(width), ' ');
  const std::string& s = text.bytes();
  Text out;
  for (size_t at = 0; at <= s.size();) {
    const size_t end = std::min(s.find('\n', at), s.size());
    HONE_RETURN_IF_ERROR(budget->Bytes(margin.size() + end - at + 1));
    if (at == 0 ? first : (blank || end > at)) out.Append(margin);
    out.Append(text.Cut(at, std::min(end + 1, s.size())));
    at = end + 1;
  }
  return out;
}

}  // namespace hone
