#pragma once

// A YAML document as a tree that knows where each node stood. The only door to yaml-cpp.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/config/error_list.h"

namespace hone {

// Limits on what a file may ask of us. They are far above any honest run file.
inline constexpr int64_t kMaxYamlBytes = 1 << 20;
inline constexpr int64_t kMaxYamlNodes = 50'000;  // with every alias written out
inline constexpr int kMaxYamlDepth = 64;

// Position in the text, both from 1.
struct YamlMark {
  int line = 1;
  int column = 1;
};

// One node; immutable once parsed, and shared by the aliases that name it.
struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };
  struct Entry {
    std::string key;
    YamlMark mark;  // of the key
    std::shared_ptr<const YamlNode> value;
  };

  Kind kind = Kind::kNull;
  YamlMark mark;
  std::string scalar;   // kScalar
  bool quoted = false;  // kScalar: written in quotes or as a block, so never a number or a bool
  std::vector<std::shared_ptr<const YamlNode>> items;  // kList
  std::vector<Entry> entries;                          // kMap: keys are unique, "<<" is resolved
  int64_t nodes = 1;  // of this subtree with aliases written out; stops growing past kMaxYamlNodes
  int depth = 1;      // of this subtree
};

// "file:line:column".
std::string YamlPlace(absl::string_view file, YamlMark mark);

// Parses one document; an empty text is a kNull node. nullptr when the text cannot be used at all;
// then, and for every duplicate key, alias to itself, foreign tag and the like, `errors` grows.
std::shared_ptr<const YamlNode> ParseYamlTree(absl::string_view text, absl::string_view file,
                                              ErrorList* errors);

}  // namespace hone
