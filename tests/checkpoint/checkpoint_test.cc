#include "libs/checkpoint/checkpoint.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/checkpoint/checkpoint_writer.h"
#include "libs/checkpoint/hf_reader.h"
#include "libs/checkpoint/hf_writer.h"
#include "tests/checkpoint/files.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

absl::Status WriteParts(CheckpointWriter& writer, int rank, int world, float value) {
  const std::vector<float> part(4 / world, value);
  absl::StatusOr<SafetensorsWriter> state =
      CreateStateFile(writer.folder(), writer.StateFileName(),
                      {{"exp_avg.w", StoredDType::kF32, {4}, 4 / world * rank, 4 / world}}, {});
  HONE_RETURN_IF_ERROR(state.status());
  HONE_RETURN_IF_ERROR(state->Write("exp_avg.w", part.data(), part.size() * 4));
  HONE_RETURN_IF_ERROR(state->Finish());
  if (rank == 0) {
    absl::StatusOr<std::unique_ptr<HfWriter>> hf =
        HfWriter::Create(writer.folder(), "hf", {{"w", StoredDType::kF32, {1}}});
    HONE_RETURN_IF_ERROR(hf.status());
    HONE_RETURN_IF_ERROR((*hf)->Write("w", &value, 4));
    HONE_RETURN_IF_ERROR((*hf)->AddFile("config.json", "{}"));
    HONE_RETURN_IF_ERROR((*hf)->Finish());
  }
  return writer.FinishRank();
}

absl::Status Save(const std::string& dir, int64_t step, float value) {
  absl::StatusOr<std::unique_ptr<CheckpointWriter>> writer = CheckpointWriter::Create(dir, step);
  HONE_RETURN_IF_ERROR(writer.status());
  HONE_RETURN_IF_ERROR(WriteParts(**writer, 0, 1, value));
  return (*writer)->Commit({{"version", "7"}});
}

float ValueOf(const Checkpoint& checkpoint) {
  absl::StatusOr<HfReader> reader = HfReader::Open(checkpoint.hf_path());
  REQUIRE_OK(reader);
  float value = 0;
  REQUIRE_OK(reader->Read("w", kernels::DType::kF32, &value, 1));
  return value;
}

TEST_CASE("The newest checkpoint is found with everything in it", "[checkpoint]") {
  testing::TempDir dir;
  CHECK_CODE(LatestCheckpoint(dir.path() + "/none"), absl::StatusCode::kNotFound);
  CHECK_CODE(LatestCheckpoint(dir.path()), absl::StatusCode::kNotFound);
  REQUIRE_OK(Save(dir.path(), 9, 9));
  REQUIRE_OK(Save(dir.path(), 10, 10));
  REQUIRE_OK(Save(dir.path(), 2, 2));
  fs::create_directory(dir.path() + "/step-011");
  fs::create_directory(dir.path() + "/step-x");
  CHECK(ListCheckpoints(dir.path()).value() == std::vector<int64_t>{2, 9, 10});
  absl::StatusOr<Checkpoint> latest = LatestCheckpoint(dir.path());
  REQUIRE_OK(latest);
  CHECK(latest->step() == 10);
  CHECK(latest->info().at("version") == "7");
  CHECK(ValueOf(*latest) == 10);
  REQUIRE(latest->files().size() == 3);
  absl::StatusOr<StateReader> state = latest->OpenState();
  REQUIRE_OK(state);
  std::vector<float> got(4);
  REQUIRE_OK(state->Read("exp_avg.w", got.data(), 16));
  CHECK(got == std::vector<float>(4, 10));
  // The same step again replaces it.
  REQUIRE_OK(Save(dir.path(), 10, 11));
  CHECK(ValueOf(LatestCheckpoint(dir.path()).value()) == 11);
}

TEST_CASE("A flipped byte, a cut or a missing file is data loss that names the file",
          "[checkpoint]") {
  testing::TempDir dir;
  REQUIRE_OK(Save(dir.path(), 1, 1));
  REQUIRE_OK(Save(dir.path(), 2, 2));
  const std::string path = CheckpointPath(dir.path(), 2);
  for (const std::string name : {"hf/model.safetensors", "hf/config.json",
                                 "train/state-00001-of-00001.safetensors", "manifest.json"}) {
    INFO(name);
    const std::string file = path + "/" + name, good = ReadText(file);
    const auto refused = [&](Verify verify) {
      const absl::Status status = Checkpoint::Open(path, verify).status();
      CHECK(status.code() == absl::StatusCode::kDataLoss);
      CHECK(absl::StrContains(std::string(status.message()), file));
      absl::StatusOr<Checkpoint> latest = LatestCheckpoint(dir.path(), verify);
      REQUIRE_OK(latest);
      CHECK(latest->step() == 1);
    };
    for (size_t at = 0; at < good.size(); at += 1 + good.size() / 17) {
      std::string bad = good;
      bad[at] ^= 0x10;
      WriteText(file, bad);
      refused(Verify::kChecksums);
    }
    WriteText(file, good.substr(0, good.size() - 2));
    refused(Verify::kSizes);
    fs::remove(file);
    if (name == "manifest.json") {
      CHECK_CODE(Checkpoint::Open(path), absl::StatusCode::kNotFound);
      CHECK(LatestCheckpoint(dir.path()).value().step() == 1);
    } else {
      refused(Verify::kSizes);
    }
    WriteText(file, good);
    CHECK(LatestCheckpoint(dir.path()).value().step() == 2);
  }
  fs::rename(path, CheckpointPath(dir.path(), 3));
  CHECK_CODE(Checkpoint::Open(CheckpointPath(dir.path(), 3)), absl::StatusCode::kDataLoss);
}

TEST_CASE("A manifest is only believed as it was written", "[checkpoint]") {
  const Manifest manifest{7, {{"k", "\"v\"\n"}}, {{"a/b", 12, 0xfedcba9876543210}}};
  const std::string text = FormatManifest(manifest);
  absl::StatusOr<Manifest> back = ParseManifest(text, "m");
  REQUIRE_OK(back);
  CHECK(back->step == 7);
  CHECK(back->info == manifest.info);
  REQUIRE(back->files.size() == 1);
  CHECK(back->files[0].path == "a/b");
  CHECK(back->files[0].bytes == 12);
  CHECK(back->files[0].xxh3 == 0xfedcba9876543210);
  CHECK_CODE(ParseManifest("{}", "m"), absl::StatusCode::kDataLoss);
  CHECK_CODE(ParseManifest("", "m"), absl::StatusCode::kDataLoss);
  // Paths out of the folder are refused even with a right checksum.
  for (const char* path : {"../x", "/x", "a/../b", ""})
    CHECK_CODE(ParseManifest(FormatManifest({7, {}, {{path, 1, 1}}}), "m"),
               absl::StatusCode::kDataLoss);
}

TEST_CASE("A process killed before the rename leaves the older checkpoint as the newest",
          "[checkpoint]") {
  testing::TempDir dir;
  REQUIRE_OK(Save(dir.path(), 1, 1));
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // All files and even the manifest are there; only the rename is not.
    absl::StatusOr<std::unique_ptr<CheckpointWriter>> writer =
        CheckpointWriter::Create(dir.path(), 2);
    if (!writer.ok() || !WriteParts(**writer, 0, 1, 2).ok()) _exit(1);
    if (!(*writer)
             ->folder()
             .AddFile(kManifestFile, FormatManifest({2, {}, (*writer)->folder().files()}))
             .ok())
      _exit(1);
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
  const std::string temporary = TemporaryFolderOf(CheckpointPath(dir.path(), 2));
  REQUIRE(fs::exists(temporary + "/manifest.json"));

  absl::StatusOr<Checkpoint> latest = LatestCheckpoint(dir.path());
  REQUIRE_OK(latest);
  CHECK(latest->step() == 1);
  CHECK(ValueOf(*latest) == 1);
  SECTION("the next writer of that step clears the remains") {
    REQUIRE_OK(Save(dir.path(), 2, 3));
    CHECK(ValueOf(LatestCheckpoint(dir.path()).value()) == 3);
  }
  SECTION("pruning clears the remains") {
    CHECK(PruneCheckpoints(dir.path(), 1).value() == 0);
  }
  CHECK(!fs::exists(temporary));
}

TEST_CASE("Ranks write together; nothing is committed while one is missing", "[checkpoint]") {
  testing::TempDir dir;
  CHECK_CODE(CheckpointWriter::Create(dir.path(), 5, 1, 2), absl::StatusCode::kNotFound);
  absl::StatusOr<std::unique_ptr<CheckpointWriter>> zero =
      CheckpointWriter::Create(dir.path(), 5, 0, 2);
  REQUIRE_OK(zero);
  absl::StatusOr<std::unique_ptr<CheckpointWriter>> one =
      CheckpointWriter::Create(dir.path(), 5, 1, 2);
  REQUIRE_OK(one);
  REQUIRE_OK(WriteParts(**zero, 0, 2, 10));
  const absl::Status early = (*zero)->Commit({});
  CHECK(early.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(absl::StrContains(std::string(early.message()), "rank 1"));
  REQUIRE_OK(WriteParts(**one, 1, 2, 20));
  one->reset();
  REQUIRE_OK((*zero)->Commit({}));
  absl::StatusOr<Checkpoint> latest = LatestCheckpoint(dir.path());
  REQUIRE_OK(latest);
  CHECK(latest->files().size() == 4);
  std::vector<float> got(4);
  REQUIRE_OK(latest->OpenState().value().Read("exp_avg.w", got.data(), 16));
  CHECK(got == std::vector<float>{10, 10, 20, 20});
  for (const fs::directory_entry& e : fs::directory_iterator(latest->path()))
    CHECK(e.path().filename().string()[0] != '.');
}

TEST_CASE("Pruning keeps the newest complete checkpoints", "[checkpoint]") {
  testing::TempDir dir;
  for (const int64_t step : {1, 2, 3, 4, 5}) REQUIRE_OK(Save(dir.path(), step, 1));
  fs::remove(CheckpointPath(dir.path(), 4) + "/hf/model.safetensors");
  fs::create_directory(CheckpointPath(dir.path(), 6));
  fs::create_directory(dir.path() + "/other");
  fs::create_directory(dir.path() + "/.step-3.del");
  CHECK_CODE(PruneCheckpoints(dir.path(), 0), absl::StatusCode::kInvalidArgument);
  // 6 is newer than the newest complete one and stays; 4 is broken and does not count.
  CHECK(PruneCheckpoints(dir.path(), 2).value() == 3);
  CHECK(ListCheckpoints(dir.path()).value() == std::vector<int64_t>{3, 5, 6});
  CHECK(fs::exists(dir.path() + "/other"));
  CHECK(!fs::exists(dir.path() + "/.step-3.del"));
  CHECK(PruneCheckpoints(dir.path(), 2).value() == 0);
  CHECK(PruneCheckpoints(dir.path() + "/none", 2).value() == 0);
}

TEST_CASE("Impossible ranks and steps are refused", "[checkpoint]") {
  testing::TempDir dir;
  CHECK_CODE(CheckpointWriter::Create(dir.path(), -1), absl::StatusCode::kInvalidArgument);
  CHECK_CODE(CheckpointWriter::Create(dir.path(), 1, 2, 2), absl::StatusCode::kInvalidArgument);
  CHECK_CODE(CheckpointWriter::Create(dir.path(), 1, 0, 0), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace hone
