#include "libs/config/yaml_tree.h"

#include <algorithm>
#include <map>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "yaml-cpp/depthguard.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/exceptions.h"
#include "yaml-cpp/parser.h"

namespace hone {
namespace {

YamlMark ToMark(const YAML::Mark& mark) {
  return {mark.line + 1, mark.column + 1};
}

// Offset of the first byte that is NUL or not part of well-formed UTF-8, or npos.
size_t FirstBadByte(absl::string_view text) {
  size_t i = 0;
  const auto byte = [&](size_t k) { return static_cast<unsigned char>(text[k]); };
  while (i < text.size()) {
    const unsigned char c = byte(i);
    if (c == 0) return i;
    const size_t length = c < 0x80                ? 1
                          : c >= 0xc2 && c < 0xe0 ? 2
                          : c >= 0xe0 && c < 0xf0 ? 3
                          : c >= 0xf0 && c < 0xf5 ? 4
                                                  : 0;
    if (length == 0 || i + length > text.size()) return i;
    for (size_t k = 1; k < length; ++k)
      if ((byte(i + k) & 0xc0) != 0x80) return i;
    // Over-long forms, surrogates and what lies beyond U+10FFFF.
    if ((c == 0xe0 && byte(i + 1) < 0xa0) || (c == 0xed && byte(i + 1) >= 0xa0) ||
        (c == 0xf0 && byte(i + 1) < 0x90) || (c == 0xf4 && byte(i + 1) >= 0x90))
      return i;
    i += length;
  }
  return absl::string_view::npos;
}

// Builds the tree from yaml-cpp's events. Aliases share their node, so memory is bounded by the
// text; what they would come to when written out is only counted.
class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(absl::string_view file, ErrorList* errors) : file_(file), errors_(errors) {}

  std::shared_ptr<const YamlNode> root() const { return root_; }
  int documents() const { return documents_; }
  int64_t inherited() const { return inherited_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ == 2)
      Error(ToMark(mark), "a second document (expected one document per file)");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto node = std::make_shared<YamlNode>();
    // yaml-cpp places a missing value where the next token stands; its key is the better place.
    const bool is_value = !open_.empty() && open_.back().has_key;
    node->mark = is_value ? open_.back().entry.mark : ToMark(mark);
    Add(std::move(node), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto it = anchors_.find(anchor);
    if (it != anchors_.end()) {
      Add(it->second, 0);
      return;
    }
    Error(ToMark(mark),
          "an alias inside the node that it names (expected an alias to a finished node)");
    auto node = std::make_shared<YamlNode>();
    node->mark = ToMark(mark);
    Add(std::move(node), 0);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    auto node = std::make_shared<YamlNode>();
    node->kind = YamlNode::Kind::kScalar;
    node->mark = ToMark(mark);
    node->scalar = value;
    node->quoted = tag == "!" || tag == "tag:yaml.org,2002:str";
    if (!node->quoted) CheckTag(node->mark, tag);
    Add(std::move(node), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override {
    ResolveMerges(open_.back().node.get());
    Close();
  }

 private:
  struct Frame {
    std::shared_ptr<YamlNode> node;
    YAML::anchor_t anchor = 0;
    bool has_key = false;
    YamlNode::Entry entry;  // kMap: key and mark are set when has_key
    std::map<std::string, YamlMark, std::less<>> keys;
  };

  void Error(YamlMark mark, absl::string_view what) { errors_->Add(YamlPlace(file_, mark), what); }

  void CheckTag(YamlMark mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    Error(mark, absl::StrCat("tag ", tag, " (expected no tag)"));
  }

  void Open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag,
            YAML::anchor_t anchor) {
    Frame frame;
    frame.node = std::make_shared<YamlNode>();
    frame.node->kind = kind;
    frame.node->mark = ToMark(mark);
    frame.anchor = anchor;
    CheckTag(frame.node->mark, tag);
    open_.push_back(std::move(frame));
  }

  void Close() {
    Frame frame = std::move(open_.back());
    open_.pop_back();
    Add(std::move(frame.node), frame.anchor);
  }

  void Add(std::shared_ptr<const YamlNode> node, YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = node;
    if (open_.empty()) {
      if (documents_ <= 1) root_ = std::move(node);
      return;
    }
    Frame& frame = open_.back();
    YamlNode* parent = frame.node.get();
    if (parent->kind == YamlNode::Kind::kMap && !frame.has_key) {
      TakeKey(*node, &frame);
      return;
    }
    parent->nodes = std::min(parent->nodes + node->nodes, kMaxYamlNodes + 1);
    parent->depth = std::max(parent->depth, node->depth + 1);
    if (parent->kind == YamlNode::Kind::kList) {
      parent->items.push_back(std::move(node));
      return;
    }
    frame.has_key = false;
    frame.entry.value = std::move(node);
    parent->entries.push_back(std::move(frame.entry));
    frame.entry = {};
  }

  void TakeKey(const YamlNode& node, Frame* frame) {
    frame->has_key = true;
    frame->entry.mark = node.mark;
    if (node.kind != YamlNode::Kind::kScalar) {
      Error(node.mark, "a key that is not a scalar (expected a name)");
      return;
    }
    frame->entry.key = node.scalar;
    auto [it, is_new] = frame->keys.emplace(node.scalar, node.mark);
    if (!is_new)
      Error(node.mark, absl::StrCat("duplicate key \"", node.scalar, "\" (first at line ",
                                    it->second.line, "; expected each key once)"));
  }

  // YAML's merge key: the entries of the maps that "<<" names, for keys that the map itself lacks.
  void ResolveMerges(YamlNode* map) {
    auto& keys = open_.back().keys;
    if (keys.find("<<") == keys.end()) return;
    std::vector<YamlNode::Entry> merged;
    for (YamlNode::Entry& entry : map->entries) {
      if (entry.key != "<<") {
        merged.push_back(std::move(entry));
        continue;
      }
      std::vector<std::shared_ptr<const YamlNode>> sources = entry.value->items;
      if (entry.value->kind != YamlNode::Kind::kList) sources = {entry.value};
      for (const auto& source : sources) {
        if (source->kind != YamlNode::Kind::kMap) {
          Error(entry.mark, "<< with something that is not a map (expected an alias of a map)");
          continue;
        }
        for (const YamlNode::Entry& inherited : source->entries) {
          if (!keys.emplace(inherited.key, inherited.mark).second) continue;
          // Merging copies entries, so unlike an alias it costs memory: it is limited for the whole
          // text.
          if (++inherited_ > kMaxYamlNodes) return;
          merged.push_back(inherited);
          map->nodes = std::min(map->nodes + inherited.value->nodes, kMaxYamlNodes + 1);
          map->depth = std::max(map->depth, inherited.value->depth + 1);
        }
      }
    }
    map->entries = std::move(merged);
  }

  const absl::string_view file_;
  ErrorList* const errors_;
  int documents_ = 0;
  int64_t inherited_ = 0;  // entries that "<<" copied
  std::vector<Frame> open_;
  std::map<YAML::anchor_t, std::shared_ptr<const YamlNode>> anchors_;
  std::shared_ptr<const YamlNode> root_;
};

}  // namespace

std::string YamlPlace(absl::string_view file, YamlMark mark) {
  return absl::StrCat(file, ":", mark.line, ":", mark.column);
}

std::shared_ptr<const YamlNode> ParseYamlTree(absl::string_view text, absl::string_view file,
                                              ErrorList* errors) {
  if (static_cast<int64_t>(text.size()) > kMaxYamlBytes) {
    errors->Add(file, absl::StrCat(text.size(), " bytes (expected at most ", kMaxYamlBytes, ")"));
    return nullptr;
  }
  if (size_t bad = FirstBadByte(text); bad != absl::string_view::npos) {
    const absl::string_view before = text.substr(0, bad);
    const size_t newline = before.rfind('\n');
    const YamlMark mark{
        static_cast<int>(1 + std::count(before.begin(), before.end(), '\n')),
        static_cast<int>(bad - (newline == absl::string_view::npos ? 0 : newline + 1)) + 1};
    errors->Add(
        YamlPlace(file, mark),
        absl::StrCat("byte 0x", absl::Hex(static_cast<unsigned char>(text[bad]), absl::kZeroPad2),
                     " (expected UTF-8 text)"));
    return nullptr;
  }
  TreeBuilder builder(file, errors);
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    // A second document is one error; there is no need to read a third.
    while (builder.documents() < 2 && parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::DeepRecursion& e) {
    errors->Add(YamlPlace(file, ToMark(e.mark)),
                absl::StrCat("nested too deeply (expected at most ", kMaxYamlDepth, " levels)"));
    return nullptr;
  } catch (const YAML::Exception& e) {
    errors->Add(e.mark.is_null() ? std::string(file) : YamlPlace(file, ToMark(e.mark)),
                absl::StrCat("not YAML: ", e.msg));
    return nullptr;
  } catch (const std::exception& e) {
    errors->Add(file, absl::StrCat("not YAML: ", e.what()));
    return nullptr;
  }
  std::shared_ptr<const YamlNode> root = builder.root();
  if (root == nullptr) return std::make_shared<YamlNode>();
  if (root->nodes > kMaxYamlNodes || builder.inherited() > kMaxYamlNodes) {
    errors->Add(
        YamlPlace(file, root->mark),
        absl::StrCat("more than ", kMaxYamlNodes,
                     " values when every alias is written out (expected at most that many)"));
    return nullptr;
  }
  if (root->depth > kMaxYamlDepth) {
    errors->Add(YamlPlace(file, root->mark),
                absl::StrCat("nested ", root->depth, " levels deep (expected at most ",
                             kMaxYamlDepth, ")"));
    return nullptr;
  }
  return root;
}

}  // namespace hone
