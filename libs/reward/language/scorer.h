#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "libs/reward/options.h"
#include "libs/reward/scorer.h"

namespace hone {

// `language`: the share of words that are in the wanted language, of the words of the chain of
// thought that are prose (prose.h), as DeepSeek-R1 rewards language consistency.
//
// Options: `language`, an ISO 639-1 code (default "en"), or "prompt": that of
// prompt.metadata.language; without it BAD_REFERENCE. `part`: "thoughts" (default; the whole
// completion where there is no </think>) or "all". `min_words` (default 10): with fewer words it
// abstains, because a few words are of no language in particular.
//
// The script of a word decides where it can. Where several languages share the wanted one's script
// (Latin, Cyrillic, Arabic, Devanagari), CLD2 decides, on stretches of some ten words; a stretch
// that it cannot name counts for no language, and if less than half of the words can be named the
// scorer abstains. Of more than 16384 such words it reads that many, evenly spread. Japanese and
// Chinese are told apart by their share of kana. Deterministic; linear time.
absl::StatusOr<std::unique_ptr<Scorer>> MakeLanguageScorer(Options& options);

}  // namespace hone
