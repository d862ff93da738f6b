#include "libs/reward/code/wire.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"

namespace hone::code {
namespace {

uint32_t Load32(absl::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

void Store32(std::string& out, size_t value) {
  for (int i = 0; i < 4; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
}

bool IsInteger(absl::string_view digits) {
  if (!digits.empty() && digits[0] == '-') digits.remove_prefix(1);
  if (digits.empty()) return false;
  for (char c : digits)
    if (!absl::ascii_isxdigit(c)) return false;
  return true;
}

class Checker {
 public:
  explicit Checker(absl::string_view body) : body_(body) {}

  absl::Status All() {
    while (at_ < body_.size()) HONE_RETURN_IF_ERROR(One(0));
    return absl::OkStatus();
  }

 private:
  absl::Status Wrong(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("byte ", at_, " of a message: ", what));
  }
  absl::Status Skip(size_t size) {
    if (body_.size() - at_ < size) return Wrong("the message ends early");
    at_ += size;
    return absl::OkStatus();
  }
  absl::StatusOr<uint32_t> Count() {
    HONE_RETURN_IF_ERROR(Skip(4));
    return Load32(body_.substr(at_ - 4));
  }
  absl::Status Text() {
    if (at_ >= body_.size() || body_[at_] != 'S') return Wrong("a name was expected");
    return One(kMaxDepth);
  }

  absl::Status One(int depth) {
    if (depth > kMaxDepth) return Wrong("nested too deep");
    if (++values_ > kMaxValues) return Wrong("too many values");
    if (at_ >= body_.size()) return Wrong("the message ends early");
    const char tag = body_[at_++];
    switch (tag) {
      case 'N':
      case 'T':
      case 'F':
        return absl::OkStatus();
      case 'D':
        return Skip(8);
      case 'C':
        return Skip(16);
      case 'X':
        HONE_RETURN_IF_ERROR(Text());
        return One(depth + 1);
      case 'H':
        HONE_RETURN_IF_ERROR(Skip(8));
        return Text();
      case 'I':
      case 'S':
      case 'B': {
        HONE_ASSIGN_OR_RETURN(const uint32_t size, Count());
        HONE_RETURN_IF_ERROR(Skip(size));
        if (tag == 'I' && !IsInteger(body_.substr(at_ - size, size)))
          return Wrong("an integer of other characters than digits");
        return absl::OkStatus();
      }
      case 'L':
      case 'U':
      case 'E':
      case 'Z':
      case 'M': {
        HONE_ASSIGN_OR_RETURN(const uint32_t count, Count());
        const uint64_t values = uint64_t{count} * (tag == 'M' ? 2 : 1);
        for (uint64_t i = 0; i < values; ++i) HONE_RETURN_IF_ERROR(One(depth + 1));
        return absl::OkStatus();
      }
      default:
        return Wrong("an unknown kind of value");
    }
  }

  absl::string_view body_;
  size_t at_ = 0;
  int64_t values_ = 0;
};

std::optional<absl::string_view> TakeBytes(absl::string_view& body, char tag) {
  if (body.size() < 5 || body[0] != tag) return std::nullopt;
  const uint32_t size = Load32(body.substr(1));
  if (body.size() - 5 < size) return std::nullopt;
  const absl::string_view bytes = body.substr(5, size);
  body.remove_prefix(5 + size);
  return bytes;
}

}  // namespace

absl::Status CheckValues(absl::string_view body) {
  return Checker(body).All();
}

absl::StatusOr<std::optional<Message>> FrameReader::Next() {
  const absl::string_view rest = absl::string_view(bytes_).substr(at_);
  if (rest.size() < 4) return std::nullopt;
  const size_t size = Load32(rest);
  if (size < 1 || size > kMaxFrame)
    return absl::InvalidArgumentError(
        absl::StrCat("a frame of ", size, " bytes, expected 1 to ", kMaxFrame));
  if (rest.size() - 4 < size) return std::nullopt;
  Message message{rest[4], std::string(rest.substr(5, size - 1))};
  at_ += 4 + size;
  if (at_ == bytes_.size()) {
    bytes_.clear();
    at_ = 0;
  }
  return message;
}

std::string Frame(char kind, absl::string_view body) {
  std::string frame;
  frame.reserve(body.size() + 5);
  Store32(frame, body.size() + 1);
  frame += kind;
  frame.append(body.data(), body.size());
  return frame;
}

void PutText(std::string& body, absl::string_view text) {
  PutCount(body, 'S', text.size());
  body.append(text.data(), text.size());
}

void PutInteger(std::string& body, int64_t value) {
  const uint64_t magnitude =
      value < 0 ? -static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  const std::string digits = absl::StrCat(value < 0 ? "-" : "", absl::Hex(magnitude));
  PutCount(body, 'I', digits.size());
  body += digits;
}

void PutBool(std::string& body, bool value) {
  body += value ? 'T' : 'F';
}

void PutCount(std::string& body, char tag, size_t count) {
  body += tag;
  Store32(body, count);
}

std::optional<std::string> TakeText(absl::string_view& body) {
  const auto bytes = TakeBytes(body, 'S');
  if (!bytes.has_value()) return std::nullopt;
  return std::string(*bytes);
}

std::optional<int64_t> TakeInteger(absl::string_view& body) {
  const auto digits = TakeBytes(body, 'I');
  if (!digits.has_value() || digits->size() > 15 || !IsInteger(*digits)) return std::nullopt;
  const bool negative = (*digits)[0] == '-';
  int64_t value = 0;
  for (char c : digits->substr(negative ? 1 : 0))
    value = value * 16 + (absl::ascii_isdigit(c) ? c - '0' : absl::ascii_tolower(c) - 'a' + 10);
  return negative ? -value : value;
}

}  // namespace hone::code
