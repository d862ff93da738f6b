#include "libs/config/error_list.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace hone {

void ErrorList::Add(absl::string_view place, absl::string_view what) {
  if (++count_ <= kMaxConfigErrors) lines_.push_back(absl::StrCat(place, ": ", what));
}

absl::Status ErrorList::ToStatus() const {
  if (empty()) return absl::OkStatus();
  std::string message = absl::StrJoin(lines_, "\n");
  if (count_ > lines_.size())
    absl::StrAppend(&message, "\n... and ", count_ - lines_.size(), " more errors");
  return absl::InvalidArgumentError(message);
}

}  // namespace hone
