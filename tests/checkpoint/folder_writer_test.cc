#include "libs/checkpoint/folder_writer.h"

#include <filesystem>
#include <string>

#include "tests/checkpoint/files.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

TEST_CASE("A folder appears at Commit with all its files", "[checkpoint]") {
  testing::TempDir dir;
  const std::string path = dir.path() + "/a/b/out/";
  absl::StatusOr<std::unique_ptr<FolderWriter>> writer = FolderWriter::Create(path);
  REQUIRE_OK(writer);
  REQUIRE_OK((*writer)->AddFile("one.txt", "hello"));
  REQUIRE_OK((*writer)->AddFile("sub/deep/two.txt", ""));
  REQUIRE_OK((*writer)->CopyFile("three", Golden("e4m3fn_decode_table.json")));
  CHECK(!fs::exists(path));
  REQUIRE_OK((*writer)->Commit());
  CHECK(ReadText(path + "one.txt") == "hello");
  CHECK(ReadText(path + "sub/deep/two.txt").empty());
  CHECK(ReadText(path + "three") == ReadText(Golden("e4m3fn_decode_table.json")));
  CHECK(!fs::exists((*writer)->temporary_path()));
  REQUIRE((*writer)->files().size() == 3);
  CHECK((*writer)->files()[0].path == "one.txt");
  CHECK((*writer)->files()[0].bytes == 5);
  CHECK((*writer)->files()[0].xxh3 == Checksum("hello"));
  CHECK((*writer)->files()[2].xxh3 == Checksum(ReadText(path + "three")));
  writer->reset();
  CHECK(fs::exists(path + "one.txt"));
}

TEST_CASE("Without Commit nothing stays", "[checkpoint]") {
  testing::TempDir dir;
  {
    absl::StatusOr<std::unique_ptr<FolderWriter>> writer =
        FolderWriter::Create(dir.path() + "/out");
    REQUIRE_OK(writer);
    REQUIRE_OK((*writer)->AddFile("x", "y"));
  }
  CHECK(fs::is_empty(dir.path()));
}

TEST_CASE("An existing folder is kept, or replaced on request", "[checkpoint]") {
  testing::TempDir dir;
  const std::string path = dir.path() + "/out";
  fs::create_directory(path);
  WriteText(path + "/old", "old");
  CHECK_CODE(FolderWriter::Create(path), absl::StatusCode::kAlreadyExists);
  absl::StatusOr<std::unique_ptr<FolderWriter>> writer = FolderWriter::Create(path, true);
  REQUIRE_OK(writer);
  REQUIRE_OK((*writer)->AddFile("new", "new"));
  CHECK(fs::exists(path + "/old"));
  REQUIRE_OK((*writer)->Commit());
  CHECK(!fs::exists(path + "/old"));
  CHECK(ReadText(path + "/new") == "new");
  CHECK(!fs::exists((*writer)->temporary_path()));
}

TEST_CASE("A folder that appears during the writing is not overwritten", "[checkpoint]") {
  testing::TempDir dir;
  const std::string path = dir.path() + "/out";
  absl::StatusOr<std::unique_ptr<FolderWriter>> writer = FolderWriter::Create(path);
  REQUIRE_OK(writer);
  fs::create_directory(path);
  WriteText(path + "/old", "old");
  CHECK_CODE((*writer)->Commit(), absl::StatusCode::kAlreadyExists);
  CHECK(ReadText(path + "/old") == "old");
}

TEST_CASE("Two writers of one path exclude each other; what a dead one left is cleared",
          "[checkpoint]") {
  testing::TempDir dir;
  const std::string path = dir.path() + "/out";
  absl::StatusOr<std::unique_ptr<FolderWriter>> first = FolderWriter::Create(path);
  REQUIRE_OK(first);
  REQUIRE_OK((*first)->AddFile("x", "y"));
  CHECK_CODE(FolderWriter::Create(path), absl::StatusCode::kFailedPrecondition);
  REQUIRE_OK(RemoveStaleFolder((*first)->temporary_path()));
  CHECK(fs::exists((*first)->temporary_path() + "/x"));
  first->reset();

  const std::string temporary = TemporaryFolderOf(path);
  fs::create_directory(temporary);
  WriteText(temporary + "/litter", "x");
  absl::StatusOr<std::unique_ptr<FolderWriter>> second = FolderWriter::Create(path);
  REQUIRE_OK(second);
  REQUIRE_OK((*second)->Commit());
  CHECK(fs::is_empty(path));
}

TEST_CASE("Names that leave the folder or are taken are refused", "[checkpoint]") {
  testing::TempDir dir;
  absl::StatusOr<std::unique_ptr<FolderWriter>> writer = FolderWriter::Create(dir.path() + "/out");
  REQUIRE_OK(writer);
  for (const char* name : {"", "/x", "../x", "a/../../x", "a//x", "a/", "."}) {
    INFO(name);
    CHECK_CODE((*writer)->AddFile(name, "x"), absl::StatusCode::kInvalidArgument);
  }
  REQUIRE_OK((*writer)->AddFile("x", "x"));
  CHECK_CODE((*writer)->AddFile("x", "x"), absl::StatusCode::kAlreadyExists);
  CHECK_CODE((*writer)->CopyFile("z", dir.path()), absl::StatusCode::kInvalidArgument);
  CHECK_CODE((*writer)->CopyFile("z", dir.path() + "/none"), absl::StatusCode::kNotFound);
}

TEST_CASE("Writes out of order get the checksum of the file", "[checkpoint]") {
  testing::TempDir dir;
  absl::StatusOr<std::unique_ptr<FolderWriter>> writer = FolderWriter::Create(dir.path() + "/out");
  REQUIRE_OK(writer);
  absl::StatusOr<OutputFile> file = (*writer)->Begin("f", 6);
  REQUIRE_OK(file);
  REQUIRE_OK(file->WriteAt(3, "def", 3));
  REQUIRE_OK(file->WriteAt(0, "abc", 3));
  REQUIRE_OK((*writer)->End("f", *std::move(file)));
  CHECK((*writer)->files()[0].xxh3 == Checksum("abcdef"));
  CHECK((*writer)->files()[0].bytes == 6);
}

TEST_CASE("Only a folder that is being written can be joined", "[checkpoint]") {
  testing::TempDir dir;
  const std::string path = dir.path() + "/out";
  CHECK_CODE(FolderWriter::Join(path), absl::StatusCode::kNotFound);
  absl::StatusOr<std::unique_ptr<FolderWriter>> owner = FolderWriter::Create(path);
  REQUIRE_OK(owner);
  {
    absl::StatusOr<std::unique_ptr<FolderWriter>> other = FolderWriter::Join(path);
    REQUIRE_OK(other);
    REQUIRE_OK((*other)->AddFile("other", "x"));
  }
  REQUIRE_OK((*owner)->Commit());
  CHECK(ReadText(path + "/other") == "x");
}

}  // namespace
}  // namespace hone
