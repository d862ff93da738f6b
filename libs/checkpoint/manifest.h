#pragma once

// The list of everything in a checkpoint, with sizes and checksums. Written last: a folder with a
// manifest was complete once, and a folder that agrees with its manifest still is.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/checkpoint/output_file.h"

namespace hone {

inline constexpr char kManifestFile[] = "manifest.json";

struct Manifest {
  int64_t step = 0;
  std::map<std::string, std::string> info;  // whatever the writer wants to find again; UTF-8
  std::vector<FileRecord> files;            // all but the manifest itself
};

// How much of the files a check reads.
enum class Verify {
  kSizes,      // sizes only: finds truncated and missing files
  kChecksums,  // every byte
};

// JSON text, with a checksum over itself.
std::string FormatManifest(const Manifest& manifest);
// DATA_LOSS (`what` in the message) for anything that FormatManifest did not write.
absl::StatusOr<Manifest> ParseManifest(absl::string_view text, absl::string_view what);
// Reads `folder`/manifest.json and compares every file with it. NOT_FOUND without a manifest;
// DATA_LOSS naming the first file that is missing, has another size or another checksum.
absl::StatusOr<Manifest> VerifyFolder(const std::string& folder, Verify verify);

}  // namespace hone
