#include "libs/checkpoint/hf_reader.h"

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/checkpoint/convert.h"
#include "tests/checkpoint/files.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

namespace fs = std::filesystem;
using kernels::DType;

std::vector<float> ReadF32(const HfReader& reader, const HfTensor& tensor) {
  std::vector<float> out(static_cast<size_t>(*ElementCount(tensor.shape)));
  REQUIRE_OK(reader.Read(tensor.name, DType::kF32, out.data(), static_cast<int64_t>(out.size())));
  return out;
}

TEST_CASE("Every golden folder opens and all its weights are finite", "[checkpoint]") {
  for (const char* name : {"dsv3", "dsv3_sharded_bf16", "dsv3_fp8_b128", "dsv3_fp8_b16",
                           "moonlight", "dsv2_lite", "dsv2_group", "llama_gqa_linear", "llama2_mha",
                           "llama31_gqa_tied", "qwen2_bias", "qwen3_moe", "qwen3_qknorm"}) {
    INFO(name);
    absl::StatusOr<HfReader> reader = HfReader::Open(Golden(name));
    REQUIRE_OK(reader);
    CHECK(reader->warnings().empty());
    REQUIRE(reader->tensors().size() > 10);
    CHECK(reader->Find("model.embed_tokens.weight") != nullptr);
    CHECK(reader->Find("model.embed_tokens") == nullptr);
    for (const HfTensor& t : reader->tensors()) {
      std::vector<uint16_t> out(static_cast<size_t>(*ElementCount(t.shape)));
      CHECK_OK(
          reader->Read(t.name, DType::kBF16, out.data(), static_cast<int64_t>(out.size()), {true}));
    }
  }
}

TEST_CASE("Shards hold the rounded weights of the single file", "[checkpoint]") {
  absl::StatusOr<HfReader> whole = HfReader::Open(Golden("dsv3"));
  absl::StatusOr<HfReader> shards = HfReader::Open(Golden("dsv3_sharded_bf16"));
  REQUIRE_OK(whole);
  REQUIRE_OK(shards);
  REQUIRE(whole->tensors().size() == shards->tensors().size());
  for (const HfTensor& t : whole->tensors()) {
    INFO(t.name);
    const HfTensor* other = shards->Find(t.name);
    REQUIRE(other != nullptr);
    REQUIRE(other->shape == t.shape);
    const int64_t n = *ElementCount(t.shape);
    std::vector<uint16_t> want(static_cast<size_t>(n)), got(static_cast<size_t>(n));
    REQUIRE_OK(whole->Read(t.name, DType::kBF16, want.data(), n));
    REQUIRE_OK(shards->Read(t.name, DType::kBF16, got.data(), n));
    CHECK(got == want);
  }
}

TEST_CASE("FP8 blocks decode to the golden values, whole and in slices", "[checkpoint]") {
  for (const char* name : {"dsv3_fp8_b128", "dsv3_fp8_b16"}) {
    absl::StatusOr<HfReader> reader = HfReader::Open(Golden(name));
    absl::StatusOr<SafetensorsFile> want =
        SafetensorsFile::Open(Golden(absl::StrCat(name, "/dequantised_fp32.safetensors")));
    REQUIRE_OK(reader);
    REQUIRE_OK(want);
    int quantised = 0;
    for (const TensorEntry& t : want->tensors()) {
      INFO(name << " " << t.name);
      const HfTensor* stored = reader->Find(t.name);
      REQUIRE(stored != nullptr);
      quantised += stored->dtype == StoredDType::kF8E4M3;
      std::vector<float> expected(static_cast<size_t>(t.bytes / 4));
      REQUIRE_OK(want->Read(t.name, expected.data(), static_cast<size_t>(t.bytes)));
      CHECK(ReadF32(*reader, *stored) == expected);
      // Slices that begin and end inside rows and blocks.
      const int64_t n = static_cast<int64_t>(expected.size());
      for (int64_t first = 0; first < n; first += 101) {
        const int64_t count = std::min<int64_t>(73, n - first);
        std::vector<float> slice(static_cast<size_t>(count));
        REQUIRE_OK(reader->ReadElements(t.name, first, count, DType::kF32, slice.data()));
        REQUIRE(slice ==
                std::vector<float>(expected.begin() + first, expected.begin() + first + count));
      }
    }
    CHECK(quantised > 10);
  }
}

// A folder with one tensor per shard, whose index the caller may spoil.
struct Folder {
  testing::TempDir dir;
  Folder() {
    File("a.safetensors", R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
         Bytes<float>({1, 2}));
    File("b.safetensors", R"({"y":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})", "abc");
    Index(
        R"({"metadata":{"total_size":11},"weight_map":{"x":"a.safetensors","y":"b.safetensors"}})");
  }
  void File(const std::string& name, const std::string& header, const std::string& data) {
    WriteText(dir.path() + "/" + name, Safetensors(header, data));
  }
  void Index(const std::string& text) {
    WriteText(dir.path() + "/model.safetensors.index.json", text);
  }
  absl::StatusOr<HfReader> Open() { return HfReader::Open(dir.path()); }
};

TEST_CASE("Reads are checked against what the tensor is", "[checkpoint]") {
  Folder folder;
  absl::StatusOr<HfReader> reader = folder.Open();
  REQUIRE_OK(reader);
  CHECK(reader->warnings().empty());
  float out[3];
  CHECK_OK(reader->Read("x", DType::kF32, out, 2));
  CHECK(out[1] == 2);
  CHECK_CODE(reader->Read("x", DType::kF32, out, 3), absl::StatusCode::kInvalidArgument);
  CHECK_CODE(reader->ReadElements("x", 1, 2, DType::kF32, out), absl::StatusCode::kOutOfRange);
  CHECK_CODE(reader->Read("y", DType::kF32, out, 3), absl::StatusCode::kInvalidArgument);
  CHECK_CODE(reader->Read("z", DType::kF32, out, 3), absl::StatusCode::kNotFound);
  char raw[3];
  CHECK_OK(reader->ReadRaw("y", 0, raw, 3));
  CHECK(std::string(raw, 3) == "abc");
  CHECK_OK(reader->ReadRaw("y", 1, raw, 2));
  CHECK(std::string(raw, 2) == "bc");
  CHECK_CODE(reader->ReadRaw("y", 2, raw, 2), absl::StatusCode::kOutOfRange);
}

TEST_CASE("A wrong index is refused", "[checkpoint]") {
  Folder folder;
  SECTION("file names") {
    for (const char* name :
         {"../a.safetensors", "/etc/a.safetensors", "s/a.safetensors", "", "..", "a.bin",
          "none.safetensors", "a\\u0000.safetensors", ".a.safetensors"}) {
      INFO(name);
      folder.Index(absl::StrCat(R"({"weight_map":{"x":")", name, R"(","y":"b.safetensors"}})"));
      CHECK_CODE(folder.Open(), absl::StatusCode::kInvalidArgument);
    }
  }
  SECTION("tensor in another file, or in none") {
    folder.Index(R"({"weight_map":{"x":"b.safetensors","y":"a.safetensors"}})");
    CHECK_CODE(folder.Open(), absl::StatusCode::kInvalidArgument);
    folder.Index(R"({"weight_map":{"x":"a.safetensors","y":"b.safetensors","z":"b.safetensors"}})");
    CHECK_CODE(folder.Open(), absl::StatusCode::kInvalidArgument);
  }
  SECTION("tensor in two files") {
    folder.File(
        "b.safetensors",
        R"({"y":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"x":{"dtype":"U8","shape":[0],"data_offsets":[3,3]}})",
        "abc");
    CHECK_CODE(folder.Open(), absl::StatusCode::kInvalidArgument);
  }
  SECTION("not the expected JSON") {
    for (const char* text :
         {"", "[]", "{}", R"({"weight_map":{}})", R"({"weight_map":[]})",
          R"({"weight_map":{"x":1}})",
          R"({"weight_map":{"x":"a.safetensors","x":"a.safetensors"}})",
          R"({"weight_map":{"x":"a.safetensors"},"weight_map":{"x":"a.safetensors"}})"}) {
      INFO(text);
      folder.Index(text);
      CHECK_CODE(folder.Open(), absl::StatusCode::kInvalidArgument);
    }
  }
  SECTION("a single file beside it") {
    fs::copy(folder.dir.path() + "/a.safetensors", folder.dir.path() + "/model.safetensors");
    CHECK_CODE(folder.Open(), absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("Unlisted tensors and a wrong total are warnings", "[checkpoint]") {
  Folder folder;
  folder.File(
      "b.safetensors",
      R"({"y":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"w":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
      "abc");
  absl::StatusOr<HfReader> reader = folder.Open();
  REQUIRE_OK(reader);
  CHECK(reader->warnings().size() == 2);
  CHECK(reader->Find("w") == nullptr);
  CHECK(reader->tensors().size() == 2);
}

TEST_CASE("Folders without safetensors weights are refused with the reason", "[checkpoint]") {
  testing::TempDir dir;
  CHECK_CODE(HfReader::Open(dir.path()), absl::StatusCode::kNotFound);
  CHECK_CODE(HfReader::Open(dir.path() + "/none"), absl::StatusCode::kNotFound);
  WriteText(dir.path() + "/pytorch_model.bin", "x");
  const absl::Status status = HfReader::Open(dir.path()).status();
  CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(absl::StrContains(std::string(status.message()), "pytorch_model.bin"));
  WriteText(dir.path() + "/weights.safetensors", Safetensors("{}", ""));
  CHECK_CODE(HfReader::Open(dir.path()), absl::StatusCode::kNotFound);
  WriteText(dir.path() + "/model.safetensors", Safetensors("{}", ""));
  CHECK_OK(HfReader::Open(dir.path()));
  WriteText(dir.path() + "/config.json", R"({"quantization_config":{"quant_method":"awq"}})");
  CHECK_CODE(HfReader::Open(dir.path()), absl::StatusCode::kUnimplemented);
  WriteText(dir.path() + "/config.json", R"({"quantization_config":{"quant_method":"fp8"}})");
  CHECK_CODE(HfReader::Open(dir.path()), absl::StatusCode::kUnimplemented);
  WriteText(dir.path() + "/config.json",
            R"({"quantization_config":{"quant_method":"fp8","weight_block_size":[0,128]}})");
  CHECK_CODE(HfReader::Open(dir.path()), absl::StatusCode::kInvalidArgument);
}

TEST_CASE("FP8 weights need a scale of the right shape", "[checkpoint]") {
  Folder folder;
  const std::string weight = R"({"x":{"dtype":"F8_E4M3","shape":[2,130],"data_offsets":[0,260]}})";
  folder.File("a.safetensors", weight, std::string(260, '\x38'));
  std::vector<float> out(260);
  absl::StatusOr<HfReader> reader = folder.Open();
  REQUIRE_OK(reader);
  CHECK_CODE(reader->Read("x", DType::kF32, out.data(), 260), absl::StatusCode::kInvalidArgument);

  // The scale may be in another shard.
  folder.Index(R"({"weight_map":{"x":"a.safetensors","x_scale_inv":"b.safetensors"}})");
  folder.File("b.safetensors",
              R"({"x_scale_inv":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}})",
              Bytes<float>({0.5f, 4}));
  reader = folder.Open();
  REQUIRE_OK(reader);
  REQUIRE_OK(reader->Read("x", DType::kF32, out.data(), 260));
  CHECK(out[127] == 0.5f);
  CHECK(out[128] == 4);
  CHECK(out[130] == 0.5f);

  folder.File("b.safetensors",
              R"({"x_scale_inv":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}})",
              Bytes<float>({0.5f, 4}));
  reader = folder.Open();
  REQUIRE_OK(reader);
  CHECK_CODE(reader->Read("x", DType::kF32, out.data(), 260), absl::StatusCode::kInvalidArgument);
}

TEST_CASE("A NaN code is found when finite weights are required", "[checkpoint]") {
  Folder folder;
  folder.File("a.safetensors", R"({"x":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}})",
              Bytes<uint16_t>({0x3c00, 0x7e00}));
  absl::StatusOr<HfReader> reader = folder.Open();
  REQUIRE_OK(reader);
  float out[2];
  CHECK_OK(reader->Read("x", DType::kF32, out, 2));
  CHECK_CODE(reader->Read("x", DType::kF32, out, 2, {true}), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace hone
