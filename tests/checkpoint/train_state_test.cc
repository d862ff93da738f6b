#include "libs/checkpoint/train_state.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/checkpoint/files.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

TEST_CASE("Scalars come back exactly", "[checkpoint]") {
  std::map<std::string, std::string> m;
  for (const int64_t value :
       {std::numeric_limits<int64_t>::min(), int64_t{0}, (int64_t{1} << 53) + 1}) {
    m["x"] = EncodeScalar(value);
    CHECK(DecodeInt64(m, "x").value() == value);
  }
  for (const double value : {0.1, -1e-310, 1e308, -0.0, 3.0, static_cast<double>(INFINITY)}) {
    m["x"] = EncodeScalar(value);
    const double got = DecodeDouble(m, "x").value();
    CHECK(got == value);
    CHECK(std::signbit(got) == std::signbit(value));
  }
  CHECK_CODE(DecodeInt64(m, "y"), absl::StatusCode::kNotFound);
  CHECK_CODE(DecodeDouble(m, "y"), absl::StatusCode::kNotFound);
  m["x"] = "1x";
  CHECK_CODE(DecodeInt64(m, "x"), absl::StatusCode::kDataLoss);
  CHECK_CODE(DecodeDouble(m, "x"), absl::StatusCode::kDataLoss);
  m["x"] = "";
  CHECK_CODE(DecodeDouble(m, "x"), absl::StatusCode::kDataLoss);
}

// A [5, 7] tensor in `world` slices and a scalar-shaped one on rank 0.
struct State {
  testing::TempDir dir;
  std::vector<std::string> paths;
  std::vector<float> values = std::vector<float>(35);

  explicit State(int world) {
    std::iota(values.begin(), values.end(), 1.0f);
    absl::StatusOr<std::unique_ptr<FolderWriter>> folder =
        FolderWriter::Create(dir.path() + "/out");
    REQUIRE_OK(folder);
    for (int rank = 0; rank < world; ++rank) {
      const int64_t begin = 35 * rank / world, count = 35 * (rank + 1) / world - begin;
      std::vector<StateSlice> slices{{"exp_avg.w", StoredDType::kF32, {5, 7}, begin, count}};
      if (rank == 0) slices.push_back({"step", StoredDType::kI64, {}});
      const std::string name = absl::StrCat("state-", rank);
      absl::StatusOr<SafetensorsWriter> file =
          CreateStateFile(**folder, name, slices, {{"lr", EncodeScalar(0.1 * rank)}});
      REQUIRE_OK(file);
      REQUIRE_OK(file->Write("exp_avg.w", values.data() + begin, static_cast<size_t>(count) * 4));
      const int64_t step = 12;
      if (rank == 0) REQUIRE_OK(file->Write("step", &step, 8));
      REQUIRE_OK(file->Finish());
      paths.push_back(dir.path() + "/out/" + name);
    }
    REQUIRE_OK((*folder)->Commit());
  }
};

TEST_CASE("A state of any number of ranks reads back whole and in any slices", "[checkpoint]") {
  for (const int world : {1, 2, 3, 40}) {
    INFO(world);
    const State state(world);
    absl::StatusOr<StateReader> reader = StateReader::Open(state.paths);
    REQUIRE_OK(reader);
    REQUIRE(reader->tensors().size() == 2);
    const StateReader::Tensor* w = reader->Find("exp_avg.w");
    REQUIRE(w != nullptr);
    CHECK(w->shape == std::vector<int64_t>{5, 7});
    CHECK(w->elements == 35);
    std::vector<float> got(35);
    REQUIRE_OK(reader->Read("exp_avg.w", got.data(), 140));
    CHECK(got == state.values);
    for (int64_t first = 0; first <= 35; ++first)
      for (int64_t count = 0; first + count <= 35; count += 3) {
        std::vector<float> part(static_cast<size_t>(count));
        REQUIRE_OK(reader->ReadElements("exp_avg.w", first, count, part.data(), part.size() * 4));
        REQUIRE(part == std::vector<float>(state.values.begin() + first,
                                           state.values.begin() + first + count));
      }
    int64_t step = 0;
    REQUIRE_OK(reader->Read("step", &step, 8));
    CHECK(step == 12);
    const size_t last = reader->file_count() - 1;
    CHECK(DecodeDouble(reader->metadata(last), "lr").value() == 0.1 * static_cast<double>(last));
    CHECK_CODE(reader->ReadElements("exp_avg.w", 30, 6, got.data(), 24),
               absl::StatusCode::kOutOfRange);
    CHECK_CODE(reader->ReadElements("exp_avg.w", 0, 6, got.data(), 20),
               absl::StatusCode::kInvalidArgument);
    CHECK_CODE(reader->Read("w", got.data(), 0), absl::StatusCode::kNotFound);
  }
}

TEST_CASE("A missing or doubled file of a state is data loss", "[checkpoint]") {
  const State state(3);
  for (size_t missing = 0; missing < 3; ++missing) {
    std::vector<std::string> paths = state.paths;
    paths.erase(paths.begin() + static_cast<long>(missing));
    CHECK_CODE(StateReader::Open(paths), absl::StatusCode::kDataLoss);
  }
  std::vector<std::string> paths = state.paths;
  paths.push_back(paths[1]);
  CHECK_CODE(StateReader::Open(paths), absl::StatusCode::kDataLoss);
  const State other(2);
  CHECK_CODE(StateReader::Open({state.paths[0], other.paths[1]}), absl::StatusCode::kDataLoss);
}

TEST_CASE("Slices outside their tensor are refused", "[checkpoint]") {
  testing::TempDir dir;
  absl::StatusOr<std::unique_ptr<FolderWriter>> folder = FolderWriter::Create(dir.path() + "/out");
  REQUIRE_OK(folder);
  const auto code = [&](StateSlice s) {
    return CreateStateFile(**folder, "x", {s}, {}).status().code();
  };
  CHECK(code({"a", StoredDType::kF32, {4}, 5, 0}) == absl::StatusCode::kInvalidArgument);
  CHECK(code({"a", StoredDType::kF32, {4}, -1, 1}) == absl::StatusCode::kInvalidArgument);
  CHECK(code({"a", StoredDType::kF32, {4}, 2, 3}) == absl::StatusCode::kInvalidArgument);
  CHECK(code({"a", StoredDType::kF4, {4}, 0, 2}) == absl::StatusCode::kInvalidArgument);
  CHECK_CODE(CreateStateFile(**folder, "x", {}, {{"hone.slices", "{}"}}),
             absl::StatusCode::kInvalidArgument);
}

TEST_CASE("Slice descriptions that nobody wrote are data loss", "[checkpoint]") {
  testing::TempDir dir;
  const std::string path = dir.path() + "/x";
  for (const char* slices :
       {R"({\"a\":1})", R"({\"a\":{\"begin\":-1,\"shape\":[4]}})", R"({\"a\":{\"begin\":0}})",
        R"({\"a\":{\"begin\":4,\"shape\":[4]}})", R"({\"a\":{\"begin\":0,\"shape\":[-4]}})",
        R"({\"a\":{\"begin\":0,\"shape\":[9223372036854775807,9]}})",
        R"({\"a\":{\"begin\":18446744073709551615,\"shape\":[4]}})"}) {
    INFO(slices);
    WriteText(path, Safetensors(
                        absl::StrCat(R"({"__metadata__":{"hone.slices":")", slices,
                                     R"("},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})"),
                        "x"));
    CHECK_CODE(StateReader::Open({path}), absl::StatusCode::kDataLoss);
  }
}

}  // namespace
}  // namespace hone
