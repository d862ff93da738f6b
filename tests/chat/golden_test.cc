// Published templates against what Jinja2 made of the same conversations. The templates are not
// ours: needs HONE_DATA.

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/match.h"
#include "libs/chat/chat_template.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

std::string Read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE(in);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Begin and end of sequence of the family that a template belongs to.
std::map<std::string, std::string> OwnTokens(const Json& families, const std::string& name) {
  const char* family = absl::StrContains(name, "QwQ") ? "qwq"
                       : absl::StrContains(name, "eepseek") || absl::StrContains(name, "eepSeek")
                           ? "deepseek"
                       : absl::StrContains(name, "lama") ? "llama"
                                                         : "qwen";
  std::map<std::string, std::string> own;
  const Json& pair = families.at(family);
  if (pair[0].is_string()) own["bos_token"] = pair[0];
  own["eos_token"] = pair[1];
  return own;
}

// Renders each case of `file` with each template that the file has renders of. Returns how many.
int CompareRenders(const std::string& file) {
  const Json golden = Json::parse(Read(HONE_GOLDEN "/templates/" + file));
  int renders = 0;
  for (const auto& [name, cases] : golden["renders"].items()) {
    const auto chat = ChatTemplate::Parse(
        name, Read(std::string(std::getenv("HONE_DATA")) + "/templates/" + name + ".jinja"));
    REQUIRE_OK(chat);
    const auto own = OwnTokens(golden["bos_eos"], name);
    for (const auto& [key, want] : cases.items()) {
      INFO(name << ", " << key);
      const auto got = chat->Render(golden["cases"][key], own, "2025-01-02");
      ++renders;
      if (want.contains("error")) {
        CHECK_CODE(got, absl::StatusCode::kInvalidArgument);
        continue;
      }
      REQUIRE_OK(got);
      CHECK(got->text == want["ok"].get<std::string>());
      // What people wrote is marked, what the template wrote is not.
      std::string last;
      for (const ByteRange& r : got->foreign) last = got->text.substr(r.begin, r.end - r.begin);
      CHECK_FALSE(absl::StrContains(last, "<|"));
      CHECK_FALSE(absl::StrContains(last, "<｜"));
    }
  }
  return renders;
}

TEST_CASE("published templates render as Jinja2 renders them", "[chat]") {
  if (std::getenv("HONE_DATA") == nullptr) HONE_SKIP("HONE_DATA is not set");
  CHECK(CompareRenders("goldens.json") == 16 * 9);
}

TEST_CASE("published templates render tools and their calls as transformers renders them",
          "[chat]") {
  if (std::getenv("HONE_DATA") == nullptr) HONE_SKIP("HONE_DATA is not set");
  CHECK(CompareRenders("tools.json") == 16 * 6);
}

}  // namespace
}  // namespace hone
