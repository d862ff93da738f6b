#include "libs/checkpoint/hf_writer.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "libs/checkpoint/hf_reader.h"
#include "tests/checkpoint/files.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

std::vector<TensorSpec> SpecsOf(const HfReader& reader) {
  std::vector<TensorSpec> specs;
  for (const HfTensor& t : reader.tensors()) specs.push_back({t.name, t.dtype, t.shape});
  return specs;
}

std::string RawOf(const HfReader& reader, const std::string& name) {
  std::string raw(static_cast<size_t>(reader.Find(name)->bytes), '\0');
  REQUIRE_OK(reader.ReadRaw(name, 0, raw.data(), raw.size()));
  return raw;
}

// Copies `from` to `path` in shards of `max_shard_bytes`, in file order or against it.
void Copy(const HfReader& from, const std::string& path, int64_t max_shard_bytes, bool backwards) {
  absl::StatusOr<std::unique_ptr<FolderWriter>> folder = FolderWriter::Create(path);
  REQUIRE_OK(folder);
  HfWriterOptions options;
  options.max_shard_bytes = max_shard_bytes;
  absl::StatusOr<std::unique_ptr<HfWriter>> writer =
      HfWriter::Create(**folder, "", SpecsOf(from), options);
  REQUIRE_OK(writer);
  std::vector<TensorSpec> order = (*writer)->order();
  REQUIRE(order.size() == from.tensors().size());
  if (backwards) std::reverse(order.begin(), order.end());
  for (const TensorSpec& t : order) {
    const std::string raw = RawOf(from, t.name);
    const size_t half = raw.size() / 2;
    REQUIRE_OK((*writer)->WritePiece(t.name, 0, raw.data(), half));
    REQUIRE_OK((*writer)->WritePiece(t.name, static_cast<int64_t>(half), raw.data() + half,
                                     raw.size() - half));
  }
  REQUIRE_OK((*writer)->CopyFile("config.json", from.dir() + "/config.json"));
  REQUIRE_OK((*writer)->Finish());
  for (const FileRecord& f : (*folder)->files())
    CHECK(f.xxh3 == Checksum(ReadText((*folder)->temporary_path() + "/" + f.path)));
  REQUIRE_OK((*folder)->Commit());
}

void CheckSame(const HfReader& a, const HfReader& b) {
  REQUIRE(a.tensors().size() == b.tensors().size());
  for (const HfTensor& t : a.tensors()) {
    const HfTensor* other = b.Find(t.name);
    REQUIRE(other != nullptr);
    CHECK(other->dtype == t.dtype);
    CHECK(other->shape == t.shape);
    CHECK(RawOf(a, t.name) == RawOf(b, t.name));
  }
}

TEST_CASE("What is written reads back bit for bit, in one file and in shards", "[checkpoint]") {
  for (const char* name : {"dsv3_fp8_b16", "dsv3_sharded_bf16", "qwen2_bias"}) {
    absl::StatusOr<HfReader> golden = HfReader::Open(Golden(name));
    REQUIRE_OK(golden);
    for (const int64_t limit : {int64_t{5'000'000'000}, int64_t{20'000}, int64_t{1}}) {
      for (const bool backwards : {false, true}) {
        INFO(name << " " << limit << " " << backwards);
        testing::TempDir dir;
        Copy(*golden, dir.path() + "/out", limit, backwards);
        absl::StatusOr<HfReader> copy = HfReader::Open(dir.path() + "/out");
        REQUIRE_OK(copy);
        CHECK(copy->warnings().empty());
        CheckSame(*golden, *copy);
        CHECK(ReadText(dir.path() + "/out/config.json") == ReadText(Golden(name) + "/config.json"));
        const bool sharded = fs::exists(dir.path() + "/out/model.safetensors.index.json");
        CHECK(sharded == (limit < 5'000'000'000));
        CHECK(fs::exists(dir.path() + "/out/model.safetensors") == !sharded);
        for (const fs::directory_entry& e : fs::directory_iterator(dir.path() + "/out")) {
          if (e.path().extension() != ".safetensors") continue;
          absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(e.path().string());
          REQUIRE_OK(file);
          CHECK(file->metadata().at("format") == "pt");
          int64_t bytes = 0;
          for (const TensorEntry& t : file->tensors()) {
            CHECK(t.offset % (Bits(t.dtype) / 8) == 0);
            bytes += t.bytes;
          }
          CHECK((file->tensors().size() == 1 || bytes <= limit));
        }
      }
    }
  }
}

TEST_CASE("The index names every tensor and the total", "[checkpoint]") {
  absl::StatusOr<HfReader> golden = HfReader::Open(Golden("dsv3_sharded_bf16"));
  REQUIRE_OK(golden);
  testing::TempDir dir;
  Copy(*golden, dir.path() + "/out", 60'000, false);
  const nlohmann::json index =
      nlohmann::json::parse(ReadText(dir.path() + "/out/model.safetensors.index.json"));
  int64_t total = 0;
  for (const HfTensor& t : golden->tensors()) total += t.bytes;
  CHECK(index["metadata"]["total_size"] == total);
  CHECK(index["weight_map"].size() == golden->tensors().size());
  CHECK(fs::exists(dir.path() + "/out/model-00001-of-00003.safetensors"));
}

TEST_CASE("Specs that a reader would refuse are refused before a byte is written", "[checkpoint]") {
  testing::TempDir dir;
  absl::StatusOr<std::unique_ptr<FolderWriter>> folder = FolderWriter::Create(dir.path() + "/out");
  REQUIRE_OK(folder);
  const auto code = [&](std::vector<TensorSpec> specs) {
    return HfWriter::Create(**folder, "", specs).status().code();
  };
  CHECK(code({}) == absl::StatusCode::kInvalidArgument);
  CHECK(code({{"a", StoredDType::kF32, {1}}, {"a", StoredDType::kF32, {1}}}) ==
        absl::StatusCode::kInvalidArgument);
  CHECK(code({{"", StoredDType::kF32, {1}}}) == absl::StatusCode::kInvalidArgument);
  CHECK(code({{"__metadata__", StoredDType::kF32, {1}}}) == absl::StatusCode::kInvalidArgument);
  CHECK(code({{"\xff", StoredDType::kF32, {1}}}) == absl::StatusCode::kInvalidArgument);
  CHECK(code({{std::string(4097, 'x'), StoredDType::kF32, {1}}}) ==
        absl::StatusCode::kInvalidArgument);
  CHECK(code({{"a", StoredDType::kF32, {-1}}}) == absl::StatusCode::kInvalidArgument);
  CHECK(code({{"a", StoredDType::kF32, {int64_t{1} << 62, 2}}}) ==
        absl::StatusCode::kInvalidArgument);
  CHECK(code({{"a", StoredDType::kF4, {3}}}) == absl::StatusCode::kInvalidArgument);
  CHECK(code({{"a", StoredDType::kF32, std::vector<int64_t>(9, 1)}}) ==
        absl::StatusCode::kInvalidArgument);
  CHECK(code({{"a", StoredDType::kF32, {}}, {"z\"\\\n", StoredDType::kI64, {2, 0}}}) ==
        absl::StatusCode::kOk);
}

TEST_CASE("Missing, wrong and repeated tensors are refused", "[checkpoint]") {
  testing::TempDir dir;
  absl::StatusOr<std::unique_ptr<FolderWriter>> folder = FolderWriter::Create(dir.path() + "/out");
  REQUIRE_OK(folder);
  HfWriterOptions options;
  options.max_shard_bytes = 8;
  absl::StatusOr<std::unique_ptr<HfWriter>> writer =
      HfWriter::Create(**folder, "hf",
                       {{"a", StoredDType::kF32, {2}},
                        {"b", StoredDType::kBF16, {}},
                        {"e\"\n", StoredDType::kU8, {0}}},
                       options);
  REQUIRE_OK(writer);
  const float values[] = {1, 2};
  CHECK_CODE((*writer)->Write("c", values, 8), absl::StatusCode::kNotFound);
  CHECK_CODE((*writer)->Write("a", values, 4), absl::StatusCode::kInvalidArgument);
  CHECK_CODE((*writer)->WritePiece("a", 4, values, 4), absl::StatusCode::kInvalidArgument);
  CHECK_CODE((*writer)->Finish(), absl::StatusCode::kFailedPrecondition);
  CHECK_OK((*writer)->Write("a", values, 8));
  CHECK_CODE((*writer)->Write("a", values, 8), absl::StatusCode::kInvalidArgument);
  CHECK_OK((*writer)->Write("e\"\n", values, 0));
  CHECK_OK((*writer)->Write("b", values, 2));
  CHECK_CODE((*writer)->AddFile("adapter.safetensors", "x"), absl::StatusCode::kInvalidArgument);
  CHECK_OK((*writer)->Finish());
  REQUIRE_OK((*folder)->Commit());
  absl::StatusOr<HfReader> reader = HfReader::Open(dir.path() + "/out/hf");
  REQUIRE_OK(reader);
  CHECK(reader->tensors().size() == 3);
  CHECK(reader->Find("e\"\n") != nullptr);
}

}  // namespace
}  // namespace hone
