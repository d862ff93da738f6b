#include "libs/base/file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "libs/base/status.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

std::set<std::string> Names(const std::string& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    names.insert(entry.path().filename().string());
  return names;
}

TEST_CASE("What was written atomically is read back, and nothing else is left", "[base]") {
  const testing::TempDir dir;
  const std::string path = dir.path() + "/state";
  for (const std::string& data :
       {std::string("first"), std::string(300000, 'x'), std::string(), std::string("a\0b", 3)}) {
    REQUIRE_OK(WriteFileAtomically(path, data));
    CHECK(*ReadFile(path, 1 << 20) == data);
    CHECK(Names(dir.path()) == std::set<std::string>{"state"});
  }
}

TEST_CASE("A file that is not committed leaves the old one alone", "[base]") {
  const testing::TempDir dir;
  const std::string path = dir.path() + "/state";
  REQUIRE_OK(WriteFileAtomically(path, "old"));
  {
    absl::StatusOr<AtomicFile> file = AtomicFile::Create(path);
    REQUIRE_OK(file);
    REQUIRE_OK(file->Append("half of the n"));
    CHECK(*ReadFile(path, 100) == "old");
    CHECK(Names(dir.path()).size() == 2);
  }
  CHECK(*ReadFile(path, 100) == "old");
  CHECK(Names(dir.path()) == std::set<std::string>{"state"});
}

TEST_CASE("An atomic file is whole in several pieces and after a move", "[base]") {
  const testing::TempDir dir;
  const std::string path = dir.path() + "/state";
  absl::StatusOr<AtomicFile> made = AtomicFile::Create(path, 0600);
  REQUIRE_OK(made);
  AtomicFile file = *std::move(made);
  REQUIRE_OK(file.Append("one "));
  REQUIRE_OK(file.Append("two"));
  REQUIRE_OK(file.Commit());
  CHECK(*ReadFile(path, 100) == "one two");
  struct stat info;
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
}

TEST_CASE("Reading refuses what is too large, missing or a directory, and says what", "[base]") {
  const testing::TempDir dir;
  const std::string path = dir.path() + "/ten";
  REQUIRE_OK(WriteFileAtomically(path, "0123456789"));
  CHECK(*ReadFile(path, 10) == "0123456789");
  const absl::Status too_large = ReadFile(path, 9).status();
  CHECK(too_large.code() == absl::StatusCode::kResourceExhausted);
  CHECK_THAT(std::string(too_large.message()),
             Catch::Contains(path) && Catch::Contains("10 bytes") && Catch::Contains("at most 9"));
  CHECK(ReadFile(dir.path() + "/none", 9).status().code() == absl::StatusCode::kNotFound);
  CHECK_CODE(ReadFile(dir.path(), 9), absl::StatusCode::kInvalidArgument);
}

TEST_CASE("Files without a size beforehand are read, within the limit", "[base]") {
  CHECK_THAT(*ReadFile("/proc/self/status", 1 << 20), Catch::Contains("VmSize"));
  CHECK_CODE(ReadFile("/proc/self/status", 10), absl::StatusCode::kResourceExhausted);
  CHECK_CODE(ReadFile("/dev/zero", 100000), absl::StatusCode::kResourceExhausted);
  CHECK(*ReadFile("/dev/null", 0) == "");
}

TEST_CASE("System errors keep their kind and name the file", "[base]") {
  const absl::Status status = ErrnoStatus(ENOSPC, "cannot write", "/var/lib/state");
  CHECK(status.code() == absl::StatusCode::kResourceExhausted);
  CHECK_THAT(std::string(status.message()), Catch::Contains("cannot write /var/lib/state"));
  CHECK_CODE(AtomicFile::Create("/none/such/state"), absl::StatusCode::kNotFound);
}

TEST_CASE("Directories are made, synced and measured", "[base]") {
  const testing::TempDir dir;
  const std::string deep = dir.path() + "/a/b/c";
  CHECK_OK(MakeDirectories(deep));
  CHECK_OK(MakeDirectories(deep));
  CHECK_OK(SyncDirectory(deep));
  REQUIRE_OK(WriteFileAtomically(deep + "/file", ""));
  CHECK_FALSE(MakeDirectories(deep + "/file").ok());
  CHECK_FALSE(MakeDirectories(deep + "/file/x").ok());
  CHECK_CODE(SyncDirectory(dir.path() + "/none"), absl::StatusCode::kNotFound);
  CHECK(*FreeBytes(dir.path()) > 0);
  CHECK_CODE(FreeBytes(dir.path() + "/none"), absl::StatusCode::kNotFound);
  CHECK_OK(RemoveFile(deep + "/file"));
  CHECK_OK(RemoveFile(deep + "/file"));
  CHECK_FALSE(RemoveFile(deep).ok());
  CHECK(DirectoryOf("state") == ".");
  CHECK(DirectoryOf("/a/state") == "/a");
  CHECK(DirectoryOf("/state") == "/");
}

TEST_CASE("A descriptor is closed once, by its last owner", "[base]") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const FileDescriptor reader(ends[0]);
  {
    FileDescriptor a(ends[1]);
    const FileDescriptor b = std::move(a);
    CHECK_FALSE(a.valid());
    CHECK(b.get() == ends[1]);
  }
  char byte;
  CHECK(::read(reader.get(), &byte, 1) == 0);  // The other end is closed.
}

}  // namespace
}  // namespace hone
