#include "libs/chat/text.h"

#include "libs/base/check.h"

namespace hone {

Text Text::Foreign(absl::string_view bytes) {
  Text text(bytes);
  text.marks_.assign(bytes.size(), 1);
  return text;
}

void Text::Append(const Text& other) {
  if (!other.marks_.empty() || !marks_.empty()) {
    marks_.resize(bytes_.size(), 0);
    if (other.marks_.empty())
      marks_.append(other.size(), 0);
    else
      marks_ += other.marks_;
  }
  bytes_ += other.bytes_;
}

void Text::Append(absl::string_view template_bytes) {
  bytes_.append(template_bytes.data(), template_bytes.size());
  if (!marks_.empty()) marks_.resize(bytes_.size(), 0);
}

Text Text::Cut(size_t begin, size_t end) const {
  Text text;
  text.bytes_ = bytes_.substr(begin, end - begin);
  if (!marks_.empty()) text.marks_ = marks_.substr(begin, end - begin);
  return text;
}

Text Text::WithBytes(std::string bytes) const {
  HONE_CHECK(bytes.size() == bytes_.size()) << bytes.size() << " and " << bytes_.size();
  Text text;
  text.bytes_ = std::move(bytes);
  text.marks_ = marks_;
  return text;
}

Text Text::Mixed(std::string bytes) const {
  return any_foreign() ? Foreign(bytes) : Text(bytes);
}

bool Text::any_foreign() const {
  return marks_.find('\1') != std::string::npos;
}

std::vector<ByteRange> Text::foreign() const {
  std::vector<ByteRange> ranges;
  for (size_t i = 0; i < marks_.size(); ++i) {
    if (marks_[i] == 0) continue;
    if (!ranges.empty() && ranges.back().end == i)
      ++ranges.back().end;
    else
      ranges.push_back({i, i + 1});
  }
  return ranges;
}

}  // namespace hone
