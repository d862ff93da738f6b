#include "libs/checkpoint/safetensors.h"

#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/checkpoint/files.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

absl::Status OpenBytes(const std::string& bytes) {
  testing::TempDir dir;
  WriteText(dir.path() + "/x.safetensors", bytes);
  return SafetensorsFile::Open(dir.path() + "/x.safetensors").status();
}

TEST_CASE("Every good vector opens and every hostile one fails with its own error",
          "[checkpoint]") {
  const nlohmann::json vectors =
      nlohmann::json::parse(ReadText(Golden("safetensors_vectors.json")));
  REQUIRE(vectors.size() == 30);
  for (const nlohmann::json& v : vectors) {
    std::string bytes;
    REQUIRE(absl::Base64Unescape(v["b64"].get<std::string>(), &bytes));
    const absl::Status status = OpenBytes(bytes);
    INFO(v["name"] << ": " << status.ToString());
    if (v["ok"].get<bool>()) {
      CHECK(status.ok());
      continue;
    }
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    const std::string error = v["error"].get<std::string>();
    CHECK(absl::StartsWith(std::string(status.message()), error.substr(0, error.find(' ')) + ":"));
    CHECK(absl::StrContains(std::string(status.message()), "x.safetensors"));
  }
}

TEST_CASE("A header that only a lenient parser accepts is refused", "[checkpoint]") {
  const std::string good = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  CHECK_OK(OpenBytes(Safetensors(good, "x")));
  // The JSON library takes NUL for the end of the text and skips a byte order mark.
  CHECK_CODE(OpenBytes(Safetensors(good + std::string(4, '\0'), "x")),
             absl::StatusCode::kInvalidArgument);
  CHECK_CODE(OpenBytes(Safetensors("\xef\xbb\xbf" + good, "x")),
             absl::StatusCode::kInvalidArgument);
  for (
      const char* bad : {
          R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}} {})",
          R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}})",
          R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})",
          R"({"a":{"dtype":"U8","shape":[1]}})",
          R"({"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}})",
          R"({"a":{"dtype":"U8","shape":{"x":1},"data_offsets":[0,1]}})",
          R"({"a":{"dtype":["U8"],"shape":[1],"data_offsets":[0,1]}})",
          R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
          R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}})",
          R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}})",
          R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}})",
          R"({"a":[]})",
          R"({"a":1})",
          R"({"a":null})",
          R"({"__metadata__":{"k":{"v":"w"}},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
          R"({"__metadata__":{"k":"v","k":"w"},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
          R"([])",
          R"(7)",
          "",
      }) {
    INFO(bad);
    CHECK_CODE(OpenBytes(Safetensors(bad, "x")), absl::StatusCode::kInvalidArgument);
  }
  const std::string name(4097, 'n');
  CHECK_CODE(
      OpenBytes(Safetensors(
          "{\"" + name + "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", "x")),
      absl::StatusCode::kInvalidArgument);
  CHECK_OK(OpenBytes(Safetensors(
      "{\"" + name.substr(1) + "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
      "x")));
}

TEST_CASE("Unknown fields of a tensor and tensors of sub-byte types are accepted", "[checkpoint]") {
  testing::TempDir dir;
  const std::string path = dir.path() + "/x.safetensors";
  WriteText(path,
            Safetensors(R"({"a":{"x":{"dtype":"?","y":[1,{"z":2}]},"dtype":"F4","shape":[2,1],)"
                        R"("data_offsets":[0,1],"n":null},"__metadata__":{"format":"pt","k":"v"}})",
                        "\x12"));
  absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(path);
  REQUIRE_OK(file);
  REQUIRE(file->tensors().size() == 1);
  CHECK(file->tensors()[0].dtype == StoredDType::kF4);
  CHECK(file->tensors()[0].shape == std::vector<int64_t>{2, 1});
  CHECK(file->metadata().at("k") == "v");
}

TEST_CASE("A golden file is read by name, whole and in parts", "[checkpoint]") {
  absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(Golden("dsv3/golden.safetensors"));
  REQUIRE_OK(file);
  const TensorEntry* lengths = file->Find("lengths");
  REQUIRE(lengths != nullptr);
  CHECK(lengths->dtype == StoredDType::kI64);
  CHECK(lengths->shape == std::vector<int64_t>{2});
  int64_t values[2];
  REQUIRE_OK(file->Read("lengths", values, sizeof values));
  CHECK(values[0] == 20);
  CHECK(values[1] == 14);
  int64_t second = 0;
  REQUIRE_OK(file->ReadRange(*lengths, 8, &second, 8));
  CHECK(second == 14);
  CHECK_CODE(file->ReadRange(*lengths, 9, &second, 8), absl::StatusCode::kOutOfRange);
  CHECK_CODE(file->ReadRange(*lengths, -1, &second, 8), absl::StatusCode::kOutOfRange);
  CHECK_CODE(file->Read("lengths", values, 8), absl::StatusCode::kInvalidArgument);
  CHECK_CODE(file->Read("length", values, 8), absl::StatusCode::kNotFound);

  SafetensorsFile moved = *std::move(file);
  REQUIRE_OK(moved.Read("lengths", values, sizeof values));
}

TEST_CASE("A file that shrinks while open is data loss, not a crash", "[checkpoint]") {
  testing::TempDir dir;
  const std::string path = dir.path() + "/x.safetensors";
  WriteText(path, Safetensors(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", "abcd"));
  absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(path);
  REQUIRE_OK(file);
  fs::resize_file(path, fs::file_size(path) - 2);
  char out[4];
  CHECK_CODE(file->Read("a", out, 4), absl::StatusCode::kDataLoss);
}

TEST_CASE("Links are followed; folders, pipes and absent files are refused", "[checkpoint]") {
  testing::TempDir dir;
  fs::create_symlink(Golden("dsv3/golden.safetensors"), dir.path() + "/link");
  CHECK_OK(SafetensorsFile::Open(dir.path() + "/link"));
  CHECK_CODE(SafetensorsFile::Open(dir.path()), absl::StatusCode::kInvalidArgument);
  REQUIRE(mkfifo((dir.path() + "/pipe").c_str(), 0600) == 0);
  CHECK_CODE(SafetensorsFile::Open(dir.path() + "/pipe"), absl::StatusCode::kInvalidArgument);
  CHECK_CODE(SafetensorsFile::Open(dir.path() + "/none"), absl::StatusCode::kNotFound);
}

TEST_CASE("A golden file cut at any length is refused", "[checkpoint]") {
  const std::string bytes = ReadText(Golden("llama2_mha/model.safetensors"));
  for (size_t keep = 0; keep < bytes.size(); keep += 997)
    CHECK_CODE(OpenBytes(bytes.substr(0, keep)), absl::StatusCode::kInvalidArgument);
  CHECK_CODE(OpenBytes(bytes + "x"), absl::StatusCode::kInvalidArgument);
  CHECK_OK(OpenBytes(bytes));
}

}  // namespace
}  // namespace hone
