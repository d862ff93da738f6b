#include "libs/reward/lean/statement.h"

#include <algorithm>
#include <optional>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "libs/base/status.h"
#include "libs/reward/lean/source.h"
#include "libs/reward/scorer.h"

namespace hone::lean {
namespace {

using Tokens = std::vector<Token>;

bool IsProof(absl::string_view word) {
  return word == "theorem" || word == "lemma";
}

// +1 for an opening bracket, -1 for a closing one.
int Bracket(const Token& token) {
  if (token.kind != TokenKind::kSymbol) return 0;
  for (const char* open : {"(", "[", "{", "⦃", "⟨"})
    if (token.text == open) return 1;
  for (const char* close : {")", "]", "}", "⦄", "⟩"})
    if (token.text == close) return -1;
  return 0;
}

bool IsAssignment(const Tokens& tokens, size_t i) {
  return i + 1 < tokens.size() && tokens[i].text == ":" && tokens[i + 1].text == "=" &&
         tokens[i + 1].joined;
}

// The name of the declaration whose keyword is token `i`, and the token behind it.
struct Name {
  std::string text;
  size_t end;
};
Name NameAfter(const Tokens& tokens, size_t i) {
  Name name{"", i + 1};
  for (; name.end < tokens.size(); ++name.end) {
    const Token& token = tokens[name.end];
    if (!name.text.empty() && !token.joined) break;
    if (Bracket(token) != 0 || token.text == ":") break;
    absl::StrAppend(&name.text, token.text);
  }
  return name;
}

bool SameTokens(const Token& a, const Token& b) {
  return a.text == b.text || (IsProof(a.text) && IsProof(b.text));
}

absl::string_view Between(absl::string_view code, const char* from, const char* to) {
  return code.substr(static_cast<size_t>(from - code.data()), static_cast<size_t>(to - from));
}

const char* EndOf(const Token& token) {
  return token.text.data() + token.text.size();
}

// Where, in the tokens of a statement, the parts of its theorem are.
struct Parts {
  size_t keyword, name_end, colon, assignment;
};

absl::StatusOr<Parts> FindParts(const Tokens& tokens) {
  std::optional<size_t> keyword;
  for (const bool proof : {true, false}) {
    int depth = 0;
    for (size_t i = 0; i < tokens.size() && (proof || !keyword.has_value()); ++i) {
      depth += Bracket(tokens[i]);
      if (depth == 0 && tokens[i].kind == TokenKind::kWord &&
          (proof ? IsProof(tokens[i].text) : tokens[i].text == "def"))
        keyword = i;
    }
  }
  if (!keyword.has_value()) return absl::InvalidArgumentError("no theorem, lemma or def");
  Parts parts{*keyword, NameAfter(tokens, *keyword).end, tokens.size(), tokens.size()};
  int depth = 0;
  for (size_t i = parts.name_end; i < tokens.size(); ++i) {
    depth += Bracket(tokens[i]);
    if (depth != 0) continue;
    if (IsAssignment(tokens, i)) {
      parts.assignment = i++;  // the last one: a type may have "let x := ..."
    } else if (tokens[i].text == ":" && parts.colon == tokens.size()) {
      parts.colon = i;
    }
  }
  if (parts.colon >= parts.assignment) return absl::InvalidArgumentError("no \": TYPE\"");
  return parts;
}

// Takes the first run of tokens equal to `pattern` out of `code`, line ends apart.
void Erase(const Tokens& pattern, std::string* code) {
  if (pattern.empty()) return;
  const Tokens tokens = Tokenize(*code);
  const auto found =
      std::search(tokens.begin(), tokens.end(), pattern.begin(), pattern.end(), SameTokens);
  if (found == tokens.end()) return;
  const size_t from = static_cast<size_t>(found->text.data() - code->data());
  const size_t to = static_cast<size_t>(EndOf(found[pattern.size() - 1]) - code->data());
  for (size_t i = from; i < to; ++i)
    if ((*code)[i] != '\n') (*code)[i] = ' ';
}

// Modules that the leading import lines of `code` name; the lines are blanked.
std::set<std::string> TakeImports(std::string* code) {
  std::set<std::string> modules;
  size_t at = 0;
  while (true) {
    while (at < code->size() && absl::ascii_isspace((*code)[at])) ++at;
    const absl::string_view rest = absl::string_view(*code).substr(at);
    if (!absl::StartsWith(rest, "import ")) return modules;
    const size_t end = std::min(rest.find('\n'), rest.size());
    modules.insert(std::string(absl::StripAsciiWhitespace(rest.substr(7, end - 7))));
    std::fill_n(code->begin() + static_cast<std::ptrdiff_t>(at), end, ' ');
  }
}

// The header imports everything below a module that it imports.
bool Imported(const std::string& module, const std::set<std::string>& imports) {
  return std::any_of(imports.begin(), imports.end(), [&](const std::string& known) {
    return module == known || absl::StartsWith(module, known + ".");
  });
}

// The first line of what Lean says, without the mark: the same proof, the same reason.
std::string FirstLine(absl::string_view said, const Program& program) {
  const std::string line(said.substr(0, said.find('\n')));
  return Quoted(absl::StrReplaceAll(line, {{"_" + program.mark, ""}}));
}

}  // namespace

absl::StatusOr<Statement> Statement::Parse(absl::string_view header,
                                           absl::string_view formal_statement) {
  const auto wrong = [](absl::string_view what, const absl::Status& status) {
    return absl::InvalidArgumentError(absl::StrCat(what, ": ", status.message()));
  };
  Statement statement;
  absl::StatusOr<std::string> clean_header = RemoveComments(header);
  if (!clean_header.ok()) return wrong("header", clean_header.status());
  statement.header = std::string(absl::StripAsciiWhitespace(*clean_header));
  const absl::StatusOr<std::string> code = RemoveComments(formal_statement);
  if (!code.ok()) return wrong("formal_statement", code.status());
  const Tokens tokens = Tokenize(*code);
  const absl::StatusOr<Parts> parts = FindParts(tokens);
  if (!parts.ok()) return wrong("formal_statement", parts.status());

  const Token& keyword = tokens[parts->keyword];
  statement.keyword = IsProof(keyword.text) ? "theorem" : "def";
  statement.name = NameAfter(tokens, parts->keyword).text;
  if (statement.name.empty() || absl::EndsWith(statement.name, "."))
    return absl::InvalidArgumentError("formal_statement: expected a plain name");
  const char* const end = code->data() + code->size();
  const char* const colon = tokens[parts->colon].text.data();
  const bool assigned = parts->assignment < tokens.size();
  const char* const type_end = assigned ? tokens[parts->assignment].text.data() : end;
  statement.binders = std::string(
      absl::StripAsciiWhitespace(Between(*code, EndOf(tokens[parts->name_end - 1]), colon)));
  statement.type = std::string(absl::StripAsciiWhitespace(Between(*code, colon + 1, type_end)));
  if (statement.type.empty())
    return absl::InvalidArgumentError("formal_statement: expected a type after the colon");
  for (size_t i = parts->assignment + 2; assigned && i < tokens.size(); ++i) {
    const absl::string_view word = tokens[i].text;
    if (word == "by" && !statement.by) {
      statement.by = true;
    } else if (word != "sorry" || i + 1 != tokens.size()) {
      return absl::InvalidArgumentError(absl::StrCat("formal_statement: it ends in ", Quoted(word),
                                                     ", expected := [by] [sorry]"));
    }
  }

  // What belongs to the theorem: modifiers are dropped, "... in" is kept.
  size_t first = parts->keyword;
  const auto before = [&](absl::string_view word) {
    return first > 0 && tokens[first - 1].text == word;
  };
  while (before("private") || before("protected") || before("nonrec") || before("noncomputable"))
    --first;
  const char* context_end = first < tokens.size() ? tokens[first].text.data() : end;
  if (before("in")) {
    size_t open = first - 1;
    while (open > 0 && tokens[open].text != "open") --open;
    context_end = tokens[open].text.data();
    statement.prefix = std::string(Between(*code, context_end, EndOf(tokens[first - 1])));
  }
  statement.context =
      std::string(absl::StripAsciiWhitespace(Between(*code, code->data(), context_end)));
  if (statement.context.find("sorry") != std::string::npos)
    return absl::InvalidArgumentError("formal_statement: a definition is left open (sorry)");
  return statement;
}

absl::StatusOr<Proof> Proof::Make(const Statement& statement, absl::string_view completion) {
  HONE_ASSIGN_OR_RETURN(std::string code, RemoveComments(completion));
  std::string header = statement.header;
  const std::set<std::string> known = TakeImports(&header);
  for (const std::string& module : TakeImports(&code))
    if (!Imported(module, known))
      return absl::InvalidArgumentError(
          absl::StrCat("import ", Quoted(module), " is not in the header"));
  Erase(Tokenize(header), &code);
  Erase(Tokenize(statement.context), &code);
  const Tokens tokens = Tokenize(code);
  HONE_RETURN_IF_ERROR(CheckPolicy(code, tokens));

  const std::string declaration =
      absl::StrCat(statement.keyword, " ", statement.name, statement.binders.empty() ? "" : " ",
                   statement.binders, " : ", statement.type);
  std::optional<size_t> found;
  bool others = false;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].kind != TokenKind::kWord) continue;
    if (IsProof(tokens[i].text) || tokens[i].text == "example") others = true;
    if ((IsProof(tokens[i].text) ? "theorem" : tokens[i].text) == statement.keyword &&
        NameAfter(tokens, i).text == statement.name)
      found = i;
  }
  Proof proof;
  proof.statement = statement;
  if (!found.has_value()) {
    if (others)
      return absl::InvalidArgumentError(absl::StrCat("no declaration of ", Quoted(statement.name)));
    absl::string_view rest = absl::StripAsciiWhitespace(code);
    if (rest.empty()) return absl::InvalidArgumentError("no proof");
    size_t next = 0;
    if (IsAssignment(tokens, 0)) next = 2;
    const bool own_by = tokens.size() > next && tokens[next].text == "by";
    proof.code = absl::StrCat(statement.prefix, statement.prefix.empty() ? "" : "\n", declaration,
                              " :=", statement.by && !own_by ? " by\n" : " ",
                              next == 0 ? absl::string_view(code) : rest.substr(2));
    return proof;
  }
  const Tokens pinned = Tokenize(declaration);
  for (size_t i = 0; i < pinned.size(); ++i) {
    const size_t at = *found + i;
    if (at < tokens.size() && SameTokens(tokens[at], pinned[i])) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "the statement of ", statement.name, " was changed: ",
        at < tokens.size() ? Quoted(tokens[at].text) : "the end", " for ", Quoted(pinned[i].text)));
  }
  const size_t assignment = *found + pinned.size();
  if (!IsAssignment(tokens, assignment))
    return absl::InvalidArgumentError(
        absl::StrCat("the statement of ", statement.name, " was changed: it goes on"));
  proof.code =
      absl::StrCat(Between(code, code.data(), tokens[*found].text.data()), declaration,
                   " :=", Between(code, EndOf(tokens[assignment + 1]), code.data() + code.size()));
  return proof;
}

Program Proof::WithMark(absl::string_view mark) const {
  Program program;
  program.mark = std::string(mark);
  program.proposition = absl::StrCat("honeStatement_", mark);
  program.check = absl::StrCat("honeCheck_", mark);
  const bool theorem = statement.keyword == "theorem";
  // The last line of ours ends what went before, so that whatever is wrong with the statement is
  // found on a line of ours.
  program.text =
      absl::StrCat(statement.context, "\n", statement.prefix, statement.prefix.empty() ? "" : "\n",
                   "def _root_.", program.proposition, theorem ? " : Prop" : "", " :=\n  ",
                   statement.binders.empty() ? "" : absl::StrCat("∀ ", statement.binders, ", "),
                   statement.type, "\ntheorem _root_.honeBegin_", mark, " : True := True.intro\n");
  program.last_ours = std::count(program.text.begin(), program.text.end(), '\n');
  absl::StrAppend(&program.text, code, "\n\n", theorem ? "theorem" : "noncomputable def",
                  " _root_.", program.check, " : _root_.", program.proposition, " := @",
                  statement.name, "\n#print axioms _root_.", program.check, "\n");
  program.axioms_line = std::count(program.text.begin(), program.text.end(), '\n');
  return program;
}

absl::StatusOr<bool> AxiomsAllowed(absl::string_view message, absl::string_view name) {
  message = absl::StripAsciiWhitespace(message);
  const std::string subject = absl::StrCat("'", name, "' ");
  const auto foreign = [&] {
    return absl::InvalidArgumentError(
        absl::StrCat("no report on the axioms of ", name, ": ", Quoted(message)));
  };
  if (!absl::StartsWith(message, subject)) return foreign();
  message.remove_prefix(subject.size());
  if (message == "does not depend on any axioms") return true;
  const absl::string_view begin = "depends on axioms: [";
  if (!absl::StartsWith(message, begin) || !absl::EndsWith(message, "]")) return foreign();
  message.remove_prefix(begin.size());
  message.remove_suffix(1);
  while (!message.empty()) {
    const size_t comma = std::min(message.find(','), message.size());
    const absl::string_view axiom = absl::StripAsciiWhitespace(message.substr(0, comma));
    if (axiom != "propext" && axiom != "Classical.choice" && axiom != "Quot.sound") return false;
    message.remove_prefix(std::min(comma + 1, message.size()));
  }
  return true;
}

v1::ScorePart Judge(const Program& program, const Reply& reply, int64_t lines_before) {
  if (reply.error.has_value())
    return Unscored(v1::OUTCOME_VERIFIER_UNAVAILABLE,
                    absl::StrCat("Lean did not run the proof: ", Quoted(*reply.error)));
  const int64_t ours = lines_before + program.last_ours;
  const Message* error = nullptr;
  bool sorry = reply.sorries > 0;
  const Message* report = nullptr;
  int reports = 0;
  for (const Message& m : reply.messages) {
    if (m.severity == Message::Severity::kError && (error == nullptr || m.line <= ours)) error = &m;
    // REPLs of different years quote differently.
    for (const char* said :
         {"declaration uses 'sorry'", "declaration uses `sorry`", "declaration uses sorry"})
      if (absl::StrContains(m.data, said)) sorry = true;
    if (m.severity == Message::Severity::kInfo && m.line == lines_before + program.axioms_line) {
      report = &m;
      ++reports;
    }
  }
  if (error != nullptr && error->line <= ours)
    return Unscored(v1::OUTCOME_BAD_REFERENCE,
                    absl::StrCat("Lean refuses the statement: ", FirstLine(error->data, program)));
  if (error != nullptr)
    return Scored(
        0, absl::StrCat("Lean, line ", error->line - ours, ": ", FirstLine(error->data, program)));
  if (sorry) return Scored(0, "the proof uses sorry");
  if (reports != 1)
    return Unscored(v1::OUTCOME_VERIFIER_UNAVAILABLE,
                    absl::StrCat("the reply has ", reports, " reports on axioms, expected one"));
  const absl::StatusOr<bool> allowed = AxiomsAllowed(report->data, program.check);
  if (!allowed.ok())
    return Unscored(v1::OUTCOME_VERIFIER_UNAVAILABLE, "the report on axioms is not ours");
  if (!*allowed) {
    const size_t list = report->data.find('[');
    return Scored(0, absl::StrCat("the proof rests on axioms that are not allowed: ",
                                  Quoted(absl::string_view(report->data).substr(list))));
  }
  return Scored(1, "proved");
}

}  // namespace hone::lean
