#include "services/cli/evaluation_file.h"

#include <sstream>

#include "libs/base/file.h"
#include "libs/base/status.h"
#include "services/cli/output.h"

namespace hone::cli {

absl::Status WriteGroups(const std::string& path, const std::vector<v1::Group>& groups) {
  HONE_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  for (const v1::Group& group : groups) {
    std::ostringstream line, unused;
    Output output(line, unused, /*terminal=*/false);
    output.format = Format::kJsonLines;
    output.Message(group);
    HONE_RETURN_IF_ERROR(file.Append(line.str()));
  }
  return file.Commit();
}

}  // namespace hone::cli
