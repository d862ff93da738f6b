// Extraction of the final answer from any bytes: what it finds is a piece of the text.

#include <cstdint>
#include <cstdlib>

#include "libs/reward/math/extract.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const std::optional<hone::math::Extraction> found = hone::math::ExtractAnswer(text);
  if (!found.has_value()) return 0;
  if (!found->answer.empty() && (found->answer.data() < text.data() ||
                                 found->answer.data() + found->answer.size() > text.data() + size))
    std::abort();
  return 0;
}
