// Extraction of the final answer from any bytes, by every policy: never more than the text holds,
// list separators apart.

#include <cstdint>
#include <cstdlib>

#include "libs/reward/math/extract.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using hone::math::Boxes;
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  for (Boxes boxes : {Boxes::kLast, Boxes::kJoin, Boxes::kAgree}) {
    const std::optional<hone::math::Extraction> found = hone::math::ExtractAnswer(text, boxes);
    if (found.has_value() && (found->answer.size() > size || found->how.empty())) std::abort();
  }
  return 0;
}
