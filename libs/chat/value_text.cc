// Values as text: what {{ }} prints and what tojson writes.

#include <cmath>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/chat/value.h"
#include "libs/tokenizer/unicode.h"

namespace hone {
namespace {

// The shortest decimal that reads back as `x`, in Python's spelling.
std::string FloatText(double x) {
  if (std::isnan(x)) return "nan";
  if (std::isinf(x)) return x > 0 ? "inf" : "-inf";
  char digits[40];
  int precision = 1;
  for (; precision < 17; ++precision) {
    std::snprintf(digits, sizeof(digits), "%.*e", precision - 1, x);
    if (std::strtod(digits, nullptr) == x) break;
  }
  std::snprintf(digits, sizeof(digits), "%.*e", precision - 1, x);
  const std::string text = digits;
  const int exponent = std::atoi(text.substr(text.find('e') + 1).c_str());
  if (exponent < -4 || exponent >= 16) return text;  // as in C: 1e+16, 1.5e-05
  std::snprintf(digits, sizeof(digits), "%.*f", std::max(precision - 1 - exponent, 1), x);
  return digits;
}

// Python's repr of a string: single quotes unless only those occur in it.
Text Quoted(const Text& text) {
  const std::string& s = text.bytes();
  const char quote =
      s.find('\'') != std::string::npos && s.find('"') == std::string::npos ? '"' : '\'';
  Text out;
  out.Append(absl::string_view(&quote, 1));
  for (size_t i = 0; i < s.size(); ++i) {
    const auto c = static_cast<unsigned char>(s[i]);
    if (s[i] == quote || s[i] == '\\') out.Append(Text::Foreign("\\"));
    if (c == '\n')
      out.Append(Text::Foreign("\\n"));
    else if (c == '\r')
      out.Append(Text::Foreign("\\r"));
    else if (c == '\t')
      out.Append(Text::Foreign("\\t"));
    else if (c < 0x20 || c == 0x7F)
      out.Append(Text::Foreign(absl::StrCat("\\x", absl::Hex(c, absl::kZeroPad2))));
    else
      out.Append(text.Cut(i, i + 1));
  }
  out.Append(absl::string_view(&quote, 1));
  return out;
}

// Writes into a text whose growth is paid for.
class Writer {
 public:
  explicit Writer(Budget* budget) : budget_(budget) {}
  absl::Status Put(absl::string_view bytes) {
    out_.Append(bytes);
    return budget_->Bytes(bytes.size());
  }
  absl::Status Put(const Text& text) {
    out_.Append(text);
    return budget_->Bytes(text.size());
  }
  Text Take() { return std::move(out_); }

  absl::Status Repr(const Value& v) {
    if (v.string() != nullptr) return Put(Quoted(*v.string()));
    if (v.list() != nullptr) {
      HONE_RETURN_IF_ERROR(Put("["));
      for (size_t i = 0; i < v.list()->size(); ++i) {
        if (i > 0) HONE_RETURN_IF_ERROR(Put(", "));
        HONE_RETURN_IF_ERROR(Repr((*v.list())[i]));
      }
      return Put("]");
    }
    if (v.dict() != nullptr) {
      HONE_RETURN_IF_ERROR(Put("{"));
      bool first = true;
      for (const auto& [key, value] : v.dict()->entries()) {
        if (!first) HONE_RETURN_IF_ERROR(Put(", "));
        first = false;
        HONE_RETURN_IF_ERROR(Put(Quoted(key)));
        HONE_RETURN_IF_ERROR(Put(": "));
        HONE_RETURN_IF_ERROR(Repr(value));
      }
      return Put("}");
    }
    return Str(v);
  }

  absl::Status Str(const Value& v) {
    if (v.string() != nullptr) return Put(*v.string());
    if (v.list() != nullptr || v.dict() != nullptr) return Repr(v);
    if (v.undefined() != nullptr) return absl::OkStatus();
    if (v.is_none()) return Put("None");
    if (v.boolean() != nullptr) return Put(*v.boolean() ? "True" : "False");
    if (v.integer() != nullptr) return Put(absl::StrCat(*v.integer()));
    if (v.floating() != nullptr) return Put(FloatText(*v.floating()));
    return absl::InvalidArgumentError(absl::StrCat("a ", v.type(), " has no text"));
  }

  absl::Status Json(const Value& v, int indent, int level) {
    if (v.string() != nullptr) return JsonString(*v.string());
    if (v.list() != nullptr) {
      if (v.list()->empty()) return Put("[]");
      HONE_RETURN_IF_ERROR(Put("["));
      for (size_t i = 0; i < v.list()->size(); ++i) {
        HONE_RETURN_IF_ERROR(Separate(i == 0, indent, level + 1));
        HONE_RETURN_IF_ERROR(Json((*v.list())[i], indent, level + 1));
      }
      return Close("]", indent, level);
    }
    if (v.dict() != nullptr) {
      if (v.dict()->entries().empty()) return Put("{}");
      HONE_RETURN_IF_ERROR(Put("{"));
      bool first = true;
      for (const auto& [key, value] : v.dict()->entries()) {
        HONE_RETURN_IF_ERROR(Separate(first, indent, level + 1));
        first = false;
        HONE_RETURN_IF_ERROR(JsonString(key));
        HONE_RETURN_IF_ERROR(Put(": "));
        HONE_RETURN_IF_ERROR(Json(value, indent, level + 1));
      }
      return Close("}", indent, level);
    }
    if (v.is_none()) return Put("null");
    if (v.boolean() != nullptr) return Put(*v.boolean() ? "true" : "false");
    if (v.floating() != nullptr) {
      const double x = *v.floating();
      return Put(std::isnan(x)   ? "NaN"
                 : std::isinf(x) ? (x > 0 ? "Infinity" : "-Infinity")
                                 : FloatText(x));
    }
    if (v.integer() != nullptr) return Str(v);
    return absl::InvalidArgumentError(
        absl::StrCat("tojson of ", v.type(),
                     v.undefined() != nullptr ? absl::StrCat(" ", v.undefined()->what) : ""));
  }

 private:
  absl::Status Separate(bool first, int indent, int level) {
    if (indent == 0) return first ? absl::OkStatus() : Put(", ");
    return Put(absl::StrCat(first ? "\n" : ",\n", std::string(indent * level, ' ')));
  }
  absl::Status Close(absl::string_view bracket, int indent, int level) {
    if (indent > 0) HONE_RETURN_IF_ERROR(Put(absl::StrCat("\n", std::string(indent * level, ' '))));
    return Put(bracket);
  }
  absl::Status JsonString(const Text& text) {
    const std::string& s = text.bytes();
    HONE_RETURN_IF_ERROR(Put("\""));
    size_t done = 0;
    for (size_t i = 0; i < s.size(); ++i) {
      const auto c = static_cast<unsigned char>(s[i]);
      std::string escape;
      if (c == '"' || c == '\\')
        escape = {'\\', s[i]};
      else if (c == '\n')
        escape = "\\n";
      else if (c == '\r')
        escape = "\\r";
      else if (c == '\t')
        escape = "\\t";
      else if (c == '\b')
        escape = "\\b";
      else if (c == '\f')
        escape = "\\f";
      else if (c < 0x20)
        escape = absl::StrCat("\\u", absl::Hex(c, absl::kZeroPad4));
      else
        continue;
      HONE_RETURN_IF_ERROR(Put(text.Cut(done, i)));
      HONE_RETURN_IF_ERROR(Put(text.foreign_at(i) ? Text::Foreign(escape) : Text(escape)));
      done = i + 1;
    }
    HONE_RETURN_IF_ERROR(Put(text.Cut(done, s.size())));
    return Put("\"");
  }

  Budget* budget_;
  Text out_;
};

}  // namespace

absl::StatusOr<Text> ToText(const Value& value, Budget* budget) {
  if (value.string() != nullptr) return *value.string();
  Writer writer(budget);
  HONE_RETURN_IF_ERROR(writer.Str(value));
  return writer.Take();
}

absl::StatusOr<Text> ToJsonText(const Value& value, int indent, Budget* budget) {
  Writer writer(budget);
  HONE_RETURN_IF_ERROR(writer.Json(value, indent, 0));
  return writer.Take();
}

}  // namespace hone
