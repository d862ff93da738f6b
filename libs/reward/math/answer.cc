// From text to Answer: prose or mathematics, and where in prose the mathematics is.

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"
#include "libs/reward/math/parser.h"

namespace hone::math {
namespace {

// Whether there is nothing but words and punctuation.
bool IsProse(const Tokens& tokens) {
  int words = 0, letters = 0;
  for (const Token& t : tokens.list) {
    if (t.type == Tok::kWord)
      words += t.text != "and" && t.text != "or";
    else if (t.type == Tok::kLetter || t.type == Tok::kConstant)
      letters += t.wrapped ? 0 : 1;
    else if (t.type == Tok::kOp
                 ? absl::string_view("-,.':;!|{}()/").find(t.op) == absl::string_view::npos
                 : t.type != Tok::kEnd)
      return false;
  }
  return words > 0 && (letters == 0 || words >= 2);
}

long NumberWord(absl::string_view word) {
  constexpr absl::string_view kWords[] = {
      "zero",     "one",     "two",     "three",     "four",     "five",     "six",
      "seven",    "eight",   "nine",    "ten",       "eleven",   "twelve",   "thirteen",
      "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"};
  for (size_t i = 0; i < std::size(kWords); ++i)
    if (word == kWords[i]) return static_cast<long>(i);
  return -1;
}

// The only formula in $...$, \(...\) or \[...\] that stands in prose; empty if there is none or
// more than one.
absl::string_view OnlyFormula(absl::string_view text) {
  absl::string_view found;
  for (size_t at = 0; at < text.size();) {
    absl::string_view rest = text.substr(at), close;
    size_t open = 2;
    if (absl::ConsumePrefix(&rest, "$$")) {
      close = "$$";
    } else if (absl::ConsumePrefix(&rest, "$")) {
      close = "$";
      open = 1;
    } else if (absl::ConsumePrefix(&rest, "\\(")) {
      close = "\\)";
    } else if (absl::ConsumePrefix(&rest, "\\[")) {
      close = "\\]";
    } else {
      at += text[at] == '\\' ? 2 : 1;
      continue;
    }
    const size_t end = text.find(close, at + open);
    if (end == text.npos || !found.empty()) return "";
    found = text.substr(at + open, end - at - open);
    at = end + close.size();
  }
  return found.size() < text.size() ? found : "";
}

// Whether `s`, which stands before a formula, is nothing but words ("The answer is $").
bool BeginsWithWords(absl::string_view s) {
  size_t longest = 0, run = 0;
  for (char c : s) {
    run = absl::ascii_isalpha(c) ? run + 1 : 0;
    longest = std::max(longest, run);
    if (!absl::ascii_isalpha(c) &&
        absl::string_view(" .,:;'*$\\([\n").find(c) == absl::string_view::npos)
      return false;
  }
  return longest >= 2;
}

// "(C) because ...", "C. 42", "C: yes".
char LeadingChoice(absl::string_view text) {
  for (absl::string_view wrapper : {"\\textbf{", "\\text{", "\\mathrm{", "\\mathbf{", "$"})
    while (absl::ConsumePrefix(&text, wrapper)) {
    }
  text = absl::StripLeadingAsciiWhitespace(text);
  const bool open = absl::ConsumePrefix(&text, "(");
  if (text.size() < 3 || text[0] < 'A' || text[0] > 'J') return 0;
  const char close = text[1];
  if (open ? close != ')' : (close != '.' && close != ')' && close != ':')) return 0;
  // "(A) or (B)" is no choice.
  const absl::string_view rest = text.substr(2);
  for (size_t i = 0; i + 2 < rest.size(); ++i)
    if (rest[i] == '(' && rest[i + 1] >= 'A' && rest[i + 1] <= 'J' && rest[i + 2] == ')') return 0;
  for (absl::string_view word : {" or ", " and ", "} or", "} and", "{or", "{and"})
    if (rest.find(word) != rest.npos) return 0;
  return text[0];
}

}  // namespace

Answer ParseAnswer(absl::string_view text) {
  Answer answer;
  Tokens tokens = Tokenize(text, /*thousands=*/true);
  answer.spelling = Spelling(tokens);
  answer.choice = LeadingChoice(absl::StripAsciiWhitespace(text));
  if (tokens.list.size() == 1) return answer;
  const bool ambiguous = tokens.ambiguous_commas, prose = IsProse(tokens);
  if (prose && tokens.list.size() == 2)
    if (const long n = NumberWord(absl::AsciiStrToLower(tokens.list[0].text)); n >= 0) {
      answer.form = Answer::kParsed;
      answer.node = MakeNumber(n);
      return answer;
    }
  const absl::string_view formula = OnlyFormula(text);
  std::optional<Node> node;
  if (!formula.empty() && BeginsWithWords(text.substr(0, formula.data() - text.data())))
    node = Parse(Tokenize(formula, true));
  if (!node.has_value()) node = Parse(std::move(tokens));
  if (prose && (!node.has_value() || !node->Is(Kind::kList))) {
    answer.form = Answer::kText;
    answer.node = Node(Kind::kText, answer.spelling);
    return answer;
  }
  if (!node.has_value() && !formula.empty()) node = Parse(Tokenize(formula, true));
  if (!node.has_value()) {
    answer.form = Answer::kUnparsed;
    return answer;
  }
  answer.form = Answer::kParsed;
  answer.node = *std::move(node);
  if (ambiguous) answer.list = Parse(Tokenize(text, /*thousands=*/false));
  return answer;
}

}  // namespace hone::math
