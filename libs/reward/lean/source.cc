#include "libs/reward/lean/source.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/json/strict_json.h"

namespace hone::lean {
namespace {

bool IsWordChar(char c) {
  return absl::ascii_isalnum(c) || c == '_';
}

bool IsContinuation(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

size_t CodePointBytes(absl::string_view text, size_t at) {
  size_t end = at + 1;
  while (end < text.size() && IsContinuation(text[end])) ++end;
  return end - at;
}

constexpr absl::string_view kOpen = "«", kClose = "»";

bool StartsAt(absl::string_view text, size_t at, absl::string_view what) {
  return text.substr(at, what.size()) == what;
}

// Turns [from, to) into spaces, one for each code point; line ends stay.
void Blank(absl::string_view text, size_t from, size_t to, std::string* out) {
  for (size_t i = from; i < to; ++i) {
    if (text[i] == '\n') {
      out->push_back('\n');
    } else if (!IsContinuation(text[i])) {
      out->push_back(' ');
    }
  }
}

// Behind the block comment that starts at `at`, or npos.
size_t BlockEnd(absl::string_view text, size_t at) {
  int depth = 0;
  for (size_t i = at; i + 1 < text.size();) {
    if (StartsAt(text, i, "/-")) {
      ++depth;
      i += 2;
    } else if (StartsAt(text, i, "-/")) {
      i += 2;
      if (--depth == 0) return i;
    } else {
      ++i;
    }
  }
  return absl::string_view::npos;
}

// Behind the string whose opening quote is at `at`; npos when it is not plain.
size_t PlainStringEnd(absl::string_view text, size_t at) {
  if (at > 0) {
    const char before = text[at - 1];  // r"", s!"", r#""#, '"'
    if (IsWordChar(before) || static_cast<unsigned char>(before) >= 0x80 || before == '!' ||
        before == '#' || before == '\'')
      return absl::string_view::npos;
  }
  for (size_t i = at + 1; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') return i + 1;
    if (c == '\\' || c == '{' || c == '}' || c == '\'' || c == '\n' || StartsAt(text, i, "--") ||
        StartsAt(text, i, "/-") || StartsAt(text, i, "-/"))
      break;
  }
  return absl::string_view::npos;
}

// Behind the quoted name that starts at `at`; npos when it is not plain.
size_t QuotedNameEnd(absl::string_view text, size_t at) {
  for (size_t i = at + kOpen.size(); i < text.size();) {
    if (StartsAt(text, i, kClose)) return i + kClose.size();
    if (StartsAt(text, i, kOpen)) break;
    const char c = text[i];
    if (!IsWordChar(c) && c != '.' && static_cast<unsigned char>(c) < 0x80) break;
    i += CodePointBytes(text, i);
  }
  return absl::string_view::npos;
}

}  // namespace

int64_t LineOf(absl::string_view code, const char* at) {
  return 1 + std::count(code.data(), at, '\n');
}

absl::StatusOr<std::string> RemoveComments(absl::string_view code) {
  const auto refuse = [&](size_t at, absl::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat("line ", LineOf(code, code.data() + at), ": ", what));
  };
  if (!IsUtf8(code)) return absl::InvalidArgumentError("not UTF-8");
  std::string out;
  out.reserve(code.size());
  for (size_t i = 0; i < code.size();) {
    const char c = code[i];
    size_t end = i + 1;
    bool keep = true;
    if (StartsAt(code, i, "/-")) {
      end = BlockEnd(code, i);
      if (end == absl::string_view::npos) return refuse(i, "a comment that does not end");
      keep = false;
    } else if (StartsAt(code, i, "--")) {
      end = std::min(code.find('\n', i), code.size());
      keep = false;
    } else if (StartsAt(code, i, "-/")) {
      return refuse(i, "the end of a comment that did not begin");
    } else if (c == '"') {
      end = PlainStringEnd(code, i);
      if (end == absl::string_view::npos) return refuse(i, "a string that is not plain text");
    } else if (StartsAt(code, i, kOpen)) {
      end = QuotedNameEnd(code, i);
      if (end == absl::string_view::npos) return refuse(i, "a quoted name that is not plain");
    } else if (StartsAt(code, i, kClose)) {
      return refuse(i, "a stray »");
    } else if (StartsAt(code, i, "\r\n")) {
      keep = false;  // the \n follows
      ++i;
      out.push_back('\n');
      ++i;
      continue;
    } else if (absl::ascii_iscntrl(c) && c != '\n' && c != '\t') {
      return refuse(i, "a control character");
    }
    if (keep) {
      out.append(code.data() + i, end - i);
    } else {
      Blank(code, i, end, &out);
    }
    i = end;
  }
  // What stood on both sides of a comment or two marks that overlap must not make a new one.
  for (const char* mark : {"--", "/-", "-/"})
    if (const size_t at = out.find(mark); at != std::string::npos)
      return absl::InvalidArgumentError(
          absl::StrCat("line ", LineOf(out, out.data() + at), ": a doubtful comment"));
  return out;
}

std::vector<Token> Tokenize(absl::string_view code) {
  std::vector<Token> tokens;
  const char* last = nullptr;
  for (size_t i = 0; i < code.size();) {
    if (absl::ascii_isspace(code[i])) {
      ++i;
      continue;
    }
    TokenKind kind = TokenKind::kSymbol;
    size_t end = i + CodePointBytes(code, i);
    if (IsWordChar(code[i])) {
      kind = TokenKind::kWord;
      while (end < code.size() && IsWordChar(code[end])) ++end;
    } else if (code[i] == '"') {
      kind = TokenKind::kString;
      end = std::min(code.find('"', i + 1), code.size() - 1) + 1;
    } else if (StartsAt(code, i, kOpen)) {
      kind = TokenKind::kQuoted;
      const size_t close = code.find(kClose, i);
      end = close == absl::string_view::npos ? code.size() : close + kClose.size();
    }
    tokens.push_back({kind, code.substr(i, end - i), last == code.data() + i});
    last = code.data() + end;
    i = end;
  }
  return tokens;
}

}  // namespace hone::lean
