#include "libs/json/strict_json.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace hone {

bool IsUtf8(absl::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const uint8_t lead = static_cast<uint8_t>(text[i]);
    const int extra = lead < 0x80                   ? 0
                      : lead >= 0xc2 && lead < 0xe0 ? 1
                      : (lead & 0xf0) == 0xe0       ? 2
                      : lead >= 0xf0 && lead < 0xf5 ? 3
                                                    : -1;
    if (extra < 0 || i + extra >= text.size()) return false;
    uint32_t code = extra == 0 ? lead : lead & (0x3f >> extra);
    for (int k = 1; k <= extra; ++k) {
      const uint8_t next = static_cast<uint8_t>(text[i + k]);
      if ((next & 0xc0) != 0x80) return false;
      code = code << 6 | (next & 0x3f);
    }
    if (extra == 2 && (code < 0x800 || (code >= 0xd800 && code < 0xe000))) return false;
    if (extra == 3 && (code < 0x10000 || code > 0x10ffff)) return false;
    i += extra + 1;
  }
  return true;
}

absl::Status CheckJsonText(absl::string_view text) {
  if (text.substr(0, 3) == "\xef\xbb\xbf")
    return absl::InvalidArgumentError("begins with a byte order mark");
  if (const size_t at = text.find('\0'); at != absl::string_view::npos)
    return absl::InvalidArgumentError(absl::StrCat("NUL byte at ", at));
  return absl::OkStatus();
}

absl::StatusOr<nlohmann::json> ParseJsonObject(absl::string_view text, absl::string_view what,
                                               int max_depth) {
  const auto invalid = [&](absl::string_view detail) {
    return absl::InvalidArgumentError(absl::StrCat(what, ": ", detail));
  };
  if (!IsUtf8(text)) return invalid("not UTF-8");
  if (absl::Status s = CheckJsonText(text); !s.ok()) return invalid(s.message());
  std::string problem;
  std::vector<std::set<std::string>> keys;
  const nlohmann::json::parser_callback_t watch =
      [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
        using Event = nlohmann::json::parse_event_t;
        if (depth > max_depth && problem.empty())
          problem = absl::StrCat("nested deeper than ", max_depth);
        if (event == Event::object_start) keys.emplace_back();
        if (event == Event::object_end) keys.pop_back();
        if (event == Event::key && !keys.back().insert(value.get<std::string>()).second &&
            problem.empty())
          problem = absl::StrCat("duplicate key '", value.get<std::string>(), "'");
        return problem.empty();  // false: the value is dropped, nothing more is built
      };
  try {
    nlohmann::json json = nlohmann::json::parse(text.begin(), text.end(), watch);
    if (!problem.empty()) return invalid(problem);
    if (!json.is_object())
      return invalid(absl::StrCat("is ", json.type_name(), ", expected an object"));
    return json;
  } catch (const nlohmann::json::exception& e) {
    return invalid(problem.empty() ? e.what() : problem);
  }
}

}  // namespace hone
