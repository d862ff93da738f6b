#pragma once

// The words of a text that are prose: what is left without code, formulas, addresses and names of
// variables.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace hone::language {

// A run of letters of one script. Han, Hiragana and Katakana have no spaces between words; a run of
// theirs counts as a word per two characters, rounded up.
struct Word {
  absl::string_view text;  // into the text given
  int script;              // ICU's UScriptCode
  int64_t count;           // of words, at least 1
};

// In order. Left out: fenced (```) and inline (`) code, LaTeX between $, $$, \( \), \[ \] and in
// \begin{...} \end{...}, LaTeX commands, tags, web and mail addresses; and of the words those with
// a digit, an underscore or an inner capital, those directly before an opening parenthesis, single
// letters, up to five capitals (RSA, ABC), and units and functions as formulas have them (km, sin).
// An opening mark without its closing one leaves nothing out. Invalid UTF-8 separates words. Linear
// time.
std::vector<Word> ProseWords(absl::string_view text);

}  // namespace hone::language
