#include "libs/buffer/buffer.h"
#include "tests/testing/small_disk.h"
#include "tests/testing/test.h"

namespace hone::testing {
namespace {

TEST_CASE("A coordinator's disk that fills up loses nothing that was acknowledged", "[buffer]") {
  SmallDisk disk(4);
  if (!disk.mounted()) HONE_SKIP("cannot mount a tmpfs");
  const BufferOptions options{.path = disk.path() + "/coordinator", .fsync = false};
  const auto chunk = [&](int64_t i) {  // 64 lines of about 4 KB that do not compress
    std::string text;
    for (int64_t k = 0; k < 64; ++k) {
      std::string noise;
      uint64_t x = static_cast<uint64_t>(i * 64 + k + 1);
      while (noise.size() < 4000) {
        x = x * 6364136223846793005ULL + 1442695040888963407ULL;
        noise.push_back(static_cast<char>('!' + 2 + (x >> 33) % 56));
      }
      text += "{\"prompt\": \"" + noise + "\"}\n";
    }
    return text;
  };

  int64_t acknowledged = 0, chunks = 0;
  {
    auto buffer = Buffer::Open(options);
    REQUIRE_OK(buffer);
    REQUIRE_OK((*buffer)->CreatePromptSet("big"));
    absl::Status full;
    while (chunks < 100) {
      const std::string text = chunk(chunks);
      full = StatusOf((*buffer)->AppendPrompts("big", acknowledged, text));
      if (!full.ok()) break;
      acknowledged += static_cast<int64_t>(text.size());
      ++chunks;
    }
    INFO(full.ToString());
    CHECK(full.code() == absl::StatusCode::kResourceExhausted);
    CHECK(full.message().find(options.path) != absl::string_view::npos);
    REQUIRE(chunks > 0);
    // Reading goes on, and says that writing does not.
    CHECK((*buffer)->prompt_sets().Get("big")->committed_bytes() == acknowledged);
    CHECK_FALSE((*buffer)->health().ok());
  }
  REQUIRE(disk.Resize(64));
  auto buffer = Buffer::Open(options);
  REQUIRE_OK(buffer);
  CHECK((*buffer)->prompt_sets().Get("big")->committed_bytes() == acknowledged);
  CHECK((*buffer)->prompt_sets().Get("big")->prompts() == chunks * 64);
  REQUIRE_OK((*buffer)->AppendPrompts("big", acknowledged, chunk(chunks)));
  v1::SealPromptSetRequest seal;
  seal.set_id("big");
  REQUIRE_OK((*buffer)->SealPromptSet(seal));
}

}  // namespace
}  // namespace hone::testing
