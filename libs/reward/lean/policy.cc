// What a proof may not contain. The lists are of words as Lean 4 and Mathlib spell them; a word
// that is refused although some honest name has it as a part costs a proof, one that is missing
// costs the truth.

#include <array>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/reward/lean/source.h"
#include "libs/reward/scorer.h"

namespace hone::lean {
namespace {

// Refused wherever they stand as a word of code.
constexpr absl::string_view kWords[] = {
    // Claims without proof.
    "axiom",
    "opaque",
    "partial",
    "sorry",
    "sorryAx",
    "admit",
    "lcProof",
    "proof_wanted",
    // Proof by running a program, which the kernel does not check.
    "native",
    "native_decide",
    "bv_decide",
    "ofReduceBool",
    "ofReduceNat",
    "reduceBool",
    "reduceNat",
    "trustCompiler",
    "implemented_by",
    "extern",
    "csimp",
    "export",
    "skipKernelTC",
    // Programs that run while Lean reads the text.
    "initialize",
    "builtin_initialize",
    "run_cmd",
    "run_elab",
    "run_meta",
    "run_tac",
    "by_elab",
    "simproc",
    "dsimproc",
    "simproc_decl",
    "dsimproc_decl",
    "simproc_pattern",
    "include_str",
    "include_bytes",
    "dbg_trace",
    "Lean",
    // What changes the meaning of later text.
    "infix",
    "infixl",
    "infixr",
    "prefix",
    "postfix",
    "binder_predicate",
    "unif_hint",
    "prelude",
    "add_decl_doc",
    "import",
};

// Refused as the beginning of a word.
constexpr absl::string_view kBeginnings[] = {"macro",     "elab",     "notation",
                                             "syntax",    "unsafe",   "declare_",
                                             "register_", "builtin_", "compile_"};

// Refused after '#', whatever follows.
constexpr absl::string_view kHashCommands[] = {
    "eval",      "check",   "print",      "reduce",     "synth",  "exit",        "help",
    "guard",     "where",   "find",       "search",     "loogle", "lint",        "norm",
    "simp",      "conv",    "html",       "widget",     "test",   "instances",   "min_",
    "redundant", "show",    "trans_",     "unfold",     "sample", "dump",        "import",
    "version",   "explode", "string",     "leansearch", "moogle", "statesearch", "list",
    "count",     "time",    "discr",      "aesop",      "reset",  "adaptation",  "parse",
    "push",      "long",    "metatheorem"};

constexpr absl::string_view kOptions[] = {"maxHeartbeats",
                                          "maxRecDepth",
                                          "autoImplicit",
                                          "relaxedAutoImplicit",
                                          "synthInstance.maxHeartbeats",
                                          "synthInstance.maxSize",
                                          "exponentiation.threshold"};
constexpr absl::string_view kOptionFamilies[] = {"linter."};

constexpr absl::string_view kAttributes[] = {"simp",        "ext",         "instance",
                                             "reducible",   "irreducible", "semireducible",
                                             "inline",      "aesop",       "simps",
                                             "refl",        "symm",        "trans",
                                             "congr",       "gcongr",      "mono",
                                             "norm_cast",   "push_cast",   "class",
                                             "to_additive", "nolint",      "default_instance"};

template <typename List>
bool Has(const List& list, absl::string_view word) {
  for (absl::string_view entry : list)
    if (entry == word) return true;
  return false;
}

template <typename List>
bool HasBeginningOf(const List& list, absl::string_view word) {
  for (absl::string_view entry : list)
    if (absl::StartsWith(word, entry)) return true;
  return false;
}

bool Refused(absl::string_view word) {
  if (Has(kWords, word) || HasBeginningOf(kBeginnings, word)) return true;
  if (word[0] < '0' || word[0] > '9') return false;
  // A number may end anywhere, and a keyword follow it: "1axiom".
  for (size_t i = 1; i < word.size(); ++i)
    if (Has(kWords, word.substr(i)) || HasBeginningOf(kBeginnings, word.substr(i))) return true;
  return false;
}

class Checker {
 public:
  Checker(absl::string_view code, const std::vector<Token>& tokens)
      : code_(code), tokens_(tokens) {}

  absl::Status Check() {
    for (size_t i = 0; i < tokens_.size(); ++i) {
      const Token& token = tokens_[i];
      absl::Status status;
      if (token.kind == TokenKind::kWord) {
        status = CheckWord(i);
      } else if (token.kind == TokenKind::kQuoted) {
        // Quoted or not, it is the same name; only keywords lose their meaning in quotes.
        const absl::string_view name = token.text.substr(2, token.text.size() - 4);
        for (const char* constant : {"Lean", "ofReduceBool", "ofReduceNat", "sorryAx", "lcProof",
                                     "trustCompiler", "reduceBool", "reduceNat"})
          if (absl::StrContains(name, constant)) status = Refuse(i, token.text);
      } else if (token.text == "#") {
        if (Is(i + 1, TokenKind::kWord) && tokens_[i + 1].joined &&
            HasBeginningOf(kHashCommands, tokens_[i + 1].text))
          status = Refuse(i, absl::StrCat("#", tokens_[i + 1].text));
      } else if (token.text == "@" && IsSymbol(i + 1, "[") && tokens_[i + 1].joined) {
        status = CheckAttributes(i + 2);
      } else if (token.text == "`") {
        status = Refuse(i, "a quotation");
      }
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  bool Is(size_t i, TokenKind kind) const { return i < tokens_.size() && tokens_[i].kind == kind; }
  bool IsSymbol(size_t i, absl::string_view text) const {
    return Is(i, TokenKind::kSymbol) && tokens_[i].text == text;
  }
  absl::Status Refuse(size_t i, absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("line ", LineOf(code_, tokens_[i].text.data()),
                                                   ": ", what, " is not allowed in a proof"));
  }

  absl::Status CheckWord(size_t i) const {
    const absl::string_view word = tokens_[i].text;
    if (Refused(word)) return Refuse(i, word);
    if (word == "eval" && IsSymbol(i + 1, "%") && tokens_[i + 1].joined) return Refuse(i, "eval%");
    if (word == "set_option") return CheckOption(i + 1);
    if (word == "attribute") {
      if (!IsSymbol(i + 1, "[")) return Refuse(i, "attribute without a list");
      return CheckAttributes(i + 2);
    }
    return absl::OkStatus();
  }

  absl::Status CheckOption(size_t i) const {
    std::string name;
    const size_t start = i;
    for (; i < tokens_.size() && (i == start || tokens_[i].joined); ++i)
      absl::StrAppend(&name, tokens_[i].text);
    if (Has(kOptions, name) || HasBeginningOf(kOptionFamilies, name)) return absl::OkStatus();
    return Refuse(start - 1, absl::StrCat("set_option ", Quoted(name)));
  }

  // The attributes from token `i` to the closing bracket.
  absl::Status CheckAttributes(size_t i) const {
    int depth = 0;
    bool name_next = true;
    for (; i < tokens_.size(); ++i) {
      const absl::string_view text = tokens_[i].text;
      if (depth == 0 && text == "]") return absl::OkStatus();
      if (text == "[" || text == "(" || text == "{") ++depth;
      if (text == "]" || text == ")" || text == "}") --depth;
      if (depth == 0 && text == ",") {
        name_next = true;
      } else if (name_next) {
        if (text == "local" || text == "scoped" || text == "-") continue;
        if (tokens_[i].kind != TokenKind::kWord || !Has(kAttributes, text))
          return Refuse(i, absl::StrCat("attribute ", Quoted(text)));
        // "simp.x" would be another attribute.
        if (i + 1 < tokens_.size() && tokens_[i + 1].joined && tokens_[i + 1].text == ".")
          return Refuse(i, absl::StrCat("attribute ", Quoted(absl::StrCat(text, "."))));
        name_next = false;
      }
    }
    return absl::InvalidArgumentError("a list of attributes that does not end");
  }

  const absl::string_view code_;
  const std::vector<Token>& tokens_;
};

}  // namespace

absl::Status CheckPolicy(absl::string_view code, const std::vector<Token>& tokens) {
  return Checker(code, tokens).Check();
}

}  // namespace hone::lean
