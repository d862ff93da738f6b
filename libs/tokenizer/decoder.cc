#include "libs/tokenizer/decoder.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/tokenizer/json.h"
#include "libs/tokenizer/unicode.h"

namespace hone {
namespace {

// A stream with a successor.
class Link : public DecodeStream {
 public:
  explicit Link(std::unique_ptr<DecodeStream> next) : next_(std::move(next)) {}

 protected:
  void Emit(absl::string_view text, bool verbatim) {
    if (!text.empty()) next_->Push(text, verbatim);
  }
  // A token counts even when nothing is left of it.
  void EmitToken(absl::string_view token, bool verbatim) { next_->Push(token, verbatim); }
  void End() { next_->Flush(); }

 private:
  std::unique_ptr<DecodeStream> next_;
};

class Sink : public DecodeStream {
 public:
  explicit Sink(std::string* out) : out_(out) {}
  void Push(absl::string_view token, bool) override { out_->append(token.data(), token.size()); }
  void Flush() override {}

 private:
  std::string* out_;
};

template <typename Stream, typename... Settings>
class Step : public DecodeStep {
 public:
  explicit Step(Settings... settings) : settings_(std::move(settings)...) {}
  std::unique_ptr<DecodeStream> Open(std::unique_ptr<DecodeStream> next) const override {
    return std::apply(
        [&](const Settings&... s) -> std::unique_ptr<DecodeStream> {
          return std::make_unique<Stream>(std::move(next), s...);
        },
        settings_);
  }

 private:
  std::tuple<Settings...> settings_;
};

class JoinStream : public Link {
 public:
  using Link::Link;
  void Push(absl::string_view token, bool verbatim) override {
    if (!std::exchange(first_, false)) Emit(" ", true);
    Emit(token, verbatim);
  }
  void Flush() override { End(); }

 private:
  bool first_ = true;
};

// Every character of a byte-level token stands for a byte. A token with any other character, and an
// added token, is its own text.
class ByteLevelStream : public Link {
 public:
  using Link::Link;
  void Push(absl::string_view token, bool verbatim) override {
    std::string bytes;
    for (size_t at = 0; at < token.size() && !verbatim;) {
      const CodePoint c = CodePointAt(token, at);
      const int byte = ByteLevelByte(c.value);
      if (byte < 0) verbatim = true;
      bytes.push_back(static_cast<char>(byte));
      at += c.length;
    }
    std::string text;
    assembler_.Push(verbatim ? token : absl::string_view(bytes), &text);
    Emit(text, false);
  }
  void Flush() override {
    std::string text;
    assembler_.Flush(&text);
    Emit(text, false);
    End();
  }

 private:
  Utf8Assembler assembler_;
};

// A token <0xNN> is a byte, even an added one: such files list their bytes as added tokens.
class ByteFallbackStream : public Link {
 public:
  using Link::Link;
  void Push(absl::string_view token, bool verbatim) override {
    const int byte = ByteOf(token);
    std::string text;
    if (byte >= 0) {
      const char b = static_cast<char>(byte);
      assembler_.Push(absl::string_view(&b, 1), &text);
      Emit(text, false);
      return;
    }
    assembler_.Flush(&text);
    Emit(text, false);
    EmitToken(token, verbatim);
  }
  void Flush() override {
    std::string text;
    assembler_.Flush(&text);
    Emit(text, false);
    End();
  }

 private:
  static int Digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
  }
  static int ByteOf(absl::string_view token) {
    if (token.size() != 6 || token.substr(0, 3) != "<0x" || token[5] != '>') return -1;
    const int high = Digit(token[3]);
    const int low = Digit(token[4]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
  }

  Utf8Assembler assembler_;
};

class FuseStream : public Link {
 public:
  using Link::Link;
  void Push(absl::string_view token, bool) override { Emit(token, false); }
  void Flush() override { End(); }
};

void ReplaceAll(absl::string_view text, const std::string& pattern, const std::string& content,
                std::string* out) {
  size_t done = 0;
  for (size_t at = text.find(pattern); at != absl::string_view::npos;
       at = text.find(pattern, done)) {
    out->append(text.data() + done, at - done);
    out->append(content);
    done = at + pattern.size();
  }
  out->append(text.data() + done, text.size() - done);
}

class ReplaceTokenStream : public Link {
 public:
  ReplaceTokenStream(std::unique_ptr<DecodeStream> next, const std::string& pattern,
                     const std::string& content)
      : Link(std::move(next)), pattern_(pattern), content_(content) {}
  void Push(absl::string_view token, bool verbatim) override {
    if (verbatim) return EmitToken(token, true);
    std::string text;
    ReplaceAll(token, pattern_, content_, &text);
    EmitToken(text, false);
  }
  void Flush() override { End(); }

 private:
  const std::string& pattern_;
  const std::string& content_;
};

// Behind Fuse a match may lie across two pushes: holds back what may be the beginning of one.
class ReplaceTextStream : public Link {
 public:
  ReplaceTextStream(std::unique_ptr<DecodeStream> next, const std::string& pattern,
                    const std::string& content)
      : Link(std::move(next)), pattern_(pattern), content_(content) {}
  void Push(absl::string_view text, bool) override {
    held_.append(text.data(), text.size());
    size_t done = 0;
    std::string out;
    for (size_t at = held_.find(pattern_); at != std::string::npos;
         at = held_.find(pattern_, done)) {
      out.append(held_, done, at - done);
      out.append(content_);
      done = at + pattern_.size();
    }
    size_t keep = std::min(held_.size() - done, pattern_.size() - 1);
    while (keep > 0 && held_.compare(held_.size() - keep, keep, pattern_, 0, keep) != 0) --keep;
    out.append(held_, done, held_.size() - keep - done);
    held_.erase(0, held_.size() - keep);
    Emit(out, false);
  }
  void Flush() override {
    Emit(held_, false);
    held_.clear();
    End();
  }

 private:
  const std::string& pattern_;
  const std::string& content_;
  std::string held_;
};

struct StripSettings {
  std::string content;  // one character
  size_t start;         // how many at most at the beginning
  size_t stop;          // how many at most at the end
};

class StripTokenStream : public Link {
 public:
  StripTokenStream(std::unique_ptr<DecodeStream> next, const StripSettings& s)
      : Link(std::move(next)), s_(s) {}
  void Push(absl::string_view token, bool verbatim) override {
    const size_t n = s_.content.size();
    if (!verbatim) {
      for (size_t i = 0; i < s_.start && token.substr(0, n) == s_.content; ++i)
        token.remove_prefix(n);
      for (size_t i = 0;
           i < s_.stop && token.size() >= n && token.substr(token.size() - n) == s_.content; ++i)
        token.remove_suffix(n);
    }
    EmitToken(token, verbatim);
  }
  void Flush() override { End(); }

 private:
  const StripSettings& s_;
};

// Behind Fuse: strips the whole text. Holds back up to `stop` characters that may be the last ones.
class StripTextStream : public Link {
 public:
  StripTextStream(std::unique_ptr<DecodeStream> next, const StripSettings& s)
      : Link(std::move(next)), s_(s), start_left_(s.start) {}
  void Push(absl::string_view text, bool) override {
    const size_t n = s_.content.size();
    while (start_left_ > 0 && text.substr(0, n) == s_.content) {
      text.remove_prefix(n);
      --start_left_;
    }
    if (text.empty()) return;
    start_left_ = 0;
    std::string out;
    size_t trailing = 0;  // characters at the end that are to be held back
    while (trailing < s_.stop && text.size() >= (trailing + 1) * n &&
           text.substr(text.size() - (trailing + 1) * n, n) == s_.content)
      ++trailing;
    const bool only_content = trailing * n == text.size();
    if (!only_content) {
      for (; held_ > 0; --held_) out.append(s_.content);
    }
    out.append(text.data(), text.size() - trailing * n);
    held_ += trailing;
    for (; held_ > s_.stop; --held_) out.append(s_.content);
    Emit(out, false);
  }
  void Flush() override { End(); }

 private:
  const StripSettings& s_;
  size_t start_left_;
  size_t held_ = 0;
};

struct MetaspaceSettings {
  std::string mark;  // one character
  bool strip_first;  // the first token loses its marks instead of turning them into blanks
  bool fused;        // everything is the first token
};

class MetaspaceStream : public Link {
 public:
  MetaspaceStream(std::unique_ptr<DecodeStream> next, const MetaspaceSettings& s)
      : Link(std::move(next)), s_(s) {}
  void Push(absl::string_view token, bool verbatim) override {
    const bool first = first_ || s_.fused;
    first_ = false;
    if (verbatim) return EmitToken(token, true);
    std::string text;
    ReplaceAll(token, s_.mark, first && s_.strip_first ? "" : " ", &text);
    EmitToken(text, false);
  }
  void Flush() override { End(); }

 private:
  const MetaspaceSettings& s_;
  bool first_ = true;
};

absl::StatusOr<std::unique_ptr<DecodeStep>> ParseReplace(const JsonNode& node, bool fused) {
  const JsonNode pattern = node.Find("pattern").Find("String");
  if (pattern.is_null())
    return node.Find("pattern").Error(
        "a decoder replaces literals only: expected {\"String\": ...}");
  HONE_ASSIGN_OR_RETURN(const std::string text, pattern.String());
  if (text.empty()) return pattern.Error("empty, expected a text to look for");
  HONE_ASSIGN_OR_RETURN(const std::string content, node.Find("content").String());
  std::unique_ptr<DecodeStep> step;
  if (fused)
    step = std::make_unique<Step<ReplaceTextStream, std::string, std::string>>(text, content);
  else
    step = std::make_unique<Step<ReplaceTokenStream, std::string, std::string>>(text, content);
  return step;
}

absl::StatusOr<std::unique_ptr<DecodeStep>> ParseStrip(const JsonNode& node, bool fused) {
  constexpr int64_t kMost = 1 << 16;
  HONE_ASSIGN_OR_RETURN(const std::string content, node.Find("content").Character());
  HONE_ASSIGN_OR_RETURN(const int64_t start, node.Find("start").Integer(0, kMost));
  HONE_ASSIGN_OR_RETURN(const int64_t stop, node.Find("stop").Integer(0, kMost));
  const StripSettings s{content, static_cast<size_t>(start), static_cast<size_t>(stop)};
  std::unique_ptr<DecodeStep> step;
  if (fused)
    step = std::make_unique<Step<StripTextStream, StripSettings>>(s);
  else
    step = std::make_unique<Step<StripTokenStream, StripSettings>>(s);
  return step;
}

absl::StatusOr<std::unique_ptr<DecodeStep>> ParseMetaspace(const JsonNode& node, bool fused) {
  HONE_ASSIGN_OR_RETURN(const std::string mark, node.Find("replacement").Character());
  HONE_ASSIGN_OR_RETURN(bool strip_first, node.Find("add_prefix_space").BoolOr(true));
  if (const JsonNode scheme = node.Find("prepend_scheme"); !scheme.is_null()) {
    HONE_ASSIGN_OR_RETURN(const std::string name, scheme.String());
    strip_first = name != "never";
  }
  return std::make_unique<Step<MetaspaceStream, MetaspaceSettings>>(
      MetaspaceSettings{mark, strip_first, fused});
}

}  // namespace

absl::Status Decoder::Add(const JsonNode& node, bool* fused, Decoder* decoder) {
  HONE_ASSIGN_OR_RETURN(const std::string type, node.Find("type").String());
  std::unique_ptr<DecodeStep> step;
  if (type == "Sequence") {
    HONE_ASSIGN_OR_RETURN(const auto parts, node.Find("decoders").Elements());
    for (const JsonNode& part : parts) HONE_RETURN_IF_ERROR(Add(part, fused, decoder));
    return absl::OkStatus();
  }
  if (type == "ByteLevel" || type == "ByteFallback") {
    if (*fused) return node.Error(absl::StrCat(type, " behind a step that has fused the tokens"));
    if (type == "ByteLevel") {
      step = std::make_unique<Step<ByteLevelStream>>();
      *fused = true;
    } else {
      step = std::make_unique<Step<ByteFallbackStream>>();
    }
  } else if (type == "Fuse") {
    step = std::make_unique<Step<FuseStream>>();
    *fused = true;
  } else if (type == "Replace") {
    HONE_ASSIGN_OR_RETURN(step, ParseReplace(node, *fused));
  } else if (type == "Strip") {
    HONE_ASSIGN_OR_RETURN(step, ParseStrip(node, *fused));
  } else if (type == "Metaspace") {
    HONE_ASSIGN_OR_RETURN(step, ParseMetaspace(node, *fused));
  } else {
    return node.Error(absl::StrCat("decoder ", type,
                                   " is not supported, expected Sequence, ByteLevel, ByteFallback, "
                                   "Fuse, Replace, Strip or Metaspace"));
  }
  decoder->steps_.push_back(std::move(step));
  return absl::OkStatus();
}

absl::StatusOr<Decoder> Decoder::Parse(const JsonNode& node) {
  Decoder decoder;
  if (node.is_null()) {
    decoder.steps_.push_back(std::make_unique<Step<JoinStream>>());
    return decoder;
  }
  bool fused = false;
  HONE_RETURN_IF_ERROR(Add(node, &fused, &decoder));
  return decoder;
}

std::unique_ptr<DecodeStream> Decoder::Open(std::string* out) const {
  std::unique_ptr<DecodeStream> stream = std::make_unique<Sink>(out);
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step)
    stream = (*step)->Open(std::move(stream));
  return stream;
}

}  // namespace hone
