#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "libs/base/status.h"
#include "libs/checkpoint/checkpoint.h"
#include "libs/checkpoint/checkpoint_writer.h"
#include "tests/testing/small_disk.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

absl::Status Save(const std::string& dir, int64_t step, int64_t bytes) {
  HONE_ASSIGN_OR_RETURN(auto writer, CheckpointWriter::Create(dir, step));
  HONE_ASSIGN_OR_RETURN(auto state, CreateStateFile(writer->folder(), writer->StateFileName(),
                                                    {{"w", StoredDType::kU8, {bytes}}}, {}));
  const std::vector<char> data(static_cast<size_t>(bytes), 'x');
  HONE_RETURN_IF_ERROR(state.Write("w", data.data(), data.size()));
  HONE_RETURN_IF_ERROR(state.Finish());
  HONE_RETURN_IF_ERROR(writer->FinishRank());
  return writer->Commit({});
}

TEST_CASE("A full disk is told with path and bytes, and leaves the older checkpoint",
          "[checkpoint]") {
  testing::SmallDisk disk(1);
  if (!disk.mounted()) HONE_SKIP("cannot mount a tmpfs");
  REQUIRE_OK(Save(disk.path(), 1, 600'000));
  const absl::Status full = Save(disk.path(), 2, 600'000);
  INFO(full.ToString());
  CHECK(full.code() == absl::StatusCode::kResourceExhausted);
  CHECK(absl::StrContains(std::string(full.message()), "step-2"));
  CHECK(absl::StrContains(std::string(full.message()), "6000"));  // 600,000 and a header
  CHECK(!fs::exists(TemporaryFolderOf(CheckpointPath(disk.path(), 2))));
  absl::StatusOr<Checkpoint> latest = LatestCheckpoint(disk.path());
  REQUIRE_OK(latest);
  CHECK(latest->step() == 1);
  // Room enough again: the space of the failed attempt was given back.
  REQUIRE_OK(Save(disk.path(), 3, 300'000));
}

TEST_CASE("A full disk in the middle of a file of unknown size is told too", "[checkpoint]") {
  testing::SmallDisk disk(1);
  if (!disk.mounted()) HONE_SKIP("cannot mount a tmpfs");
  absl::StatusOr<std::unique_ptr<FolderWriter>> folder = FolderWriter::Create(disk.path() + "/out");
  REQUIRE_OK(folder);
  absl::StatusOr<OutputFile> file = (*folder)->Begin("f", 0);
  REQUIRE_OK(file);
  const std::vector<char> data(400'000, 'x');
  REQUIRE_OK(file->WriteAt(0, data.data(), data.size()));
  REQUIRE_OK(file->WriteAt(400'000, data.data(), data.size()));
  const absl::Status full = file->WriteAt(800'000, data.data(), data.size());
  INFO(full.ToString());
  CHECK(full.code() == absl::StatusCode::kResourceExhausted);
  CHECK(absl::StrContains(std::string(full.message()), "/f"));
  folder->reset();
  CHECK(fs::is_empty(disk.path()));
}

}  // namespace
}  // namespace hone
