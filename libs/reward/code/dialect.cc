#include "libs/reward/code/dialect.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/status.h"

namespace hone::code {
namespace {

class Frames final : public Dialect {
 public:
  void Append(absl::string_view bytes) override { reader_.Append(bytes); }
  absl::StatusOr<std::optional<Message>> Next() override { return reader_.Next(); }
  std::string Write(char kind, absl::string_view body) const override { return Frame(kind, body); }

 private:
  FrameReader reader_;
};

class Shell final : public Dialect {
 public:
  void Append(absl::string_view bytes) override { bytes_.append(bytes.data(), bytes.size()); }

  absl::StatusOr<std::optional<Message>> Next() override {
    if (bytes_.size() > kMaxFrame) return absl::InvalidArgumentError("a message that is too large");
    if (bytes_.empty()) return std::nullopt;
    absl::string_view rest = bytes_;
    Message message;
    message.kind = rest[0];
    rest.remove_prefix(1);
    HONE_ASSIGN_OR_RETURN(const std::optional<uint64_t> count, TakeNumber(rest));
    if (!count.has_value()) return std::nullopt;
    for (uint64_t i = 0; i < *count; ++i) {
      HONE_ASSIGN_OR_RETURN(const std::optional<uint64_t> size, TakeNumber(rest));
      if (!size.has_value() || rest.size() < *size) return std::nullopt;
      const absl::string_view word = rest.substr(0, *size);
      rest.remove_prefix(*size);
      int64_t number = 0;
      if (message.kind == 'e' && i < 2 && absl::SimpleAtoi(word, &number)) {
        PutInteger(message.body, number);
      } else {
        PutText(message.body, word);
      }
    }
    bytes_.erase(0, bytes_.size() - rest.size());
    return message;
  }

  std::string Write(char kind, absl::string_view body) const override {
    std::string line(1, kind);
    while (const std::optional<std::string> word = TakeText(body)) {
      line += line.size() == 1 ? "w" : " w";
      for (unsigned char c : *word)
        if (c != 0) absl::StrAppendFormat(&line, "\\0%03o", c);
    }
    return line + "\n";
  }

 private:
  // A number and ':'; none while it is not whole.
  static absl::StatusOr<std::optional<uint64_t>> TakeNumber(absl::string_view& rest) {
    constexpr size_t kDigits = 8;
    const size_t colon = rest.substr(0, kDigits + 1).find(':');
    if (colon == rest.npos && rest.size() <= kDigits) return std::nullopt;
    uint64_t number = 0;
    if (colon == rest.npos || !absl::SimpleAtoi(rest.substr(0, colon), &number) ||
        number > kMaxFrame)
      return absl::InvalidArgumentError("a message that is none");
    rest.remove_prefix(colon + 1);
    return number;
  }

  std::string bytes_;
};

}  // namespace

std::unique_ptr<Dialect> FrameDialect() {
  return std::make_unique<Frames>();
}

std::unique_ptr<Dialect> ShellDialect() {
  return std::make_unique<Shell>();
}

}  // namespace hone::code
