#pragma once

// A formal statement, as its data set gives it, and a completion's claim to have proved it.
//
// The statement that is checked is ours, word for word: the completion's own copy has to have the
// same tokens and is then replaced. Beside it stands the statement as a proposition of its own,
// elaborated before any line of the completion, and a closing theorem of exactly that type, so that
// no instance, name or local meaning that the completion introduces can weaken what was proved.

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/reward/lean/reply.h"
#include "proto/hone/v1/trajectory.pb.h"

namespace hone::lean {

// Immutable. All texts are free of comments.
struct Statement {
  std::string header;   // imports, opens, definitions: run once for many proofs
  std::string context;  // declarations of the statement's own text before the theorem
  std::string prefix;   // "open Foo in": belongs to the theorem
  std::string keyword;  // theorem or def
  std::string name;
  std::string binders;  // as written; may be empty
  std::string type;
  bool by = false;  // its text ends in "by"

  // INVALID_ARGUMENT, for people, when `formal_statement` is not
  //   [declarations] (theorem|lemma|def) NAME BINDERS : TYPE [:= [by] [sorry]]
  // Both texts are trusted, as far as a data set is.
  static absl::StatusOr<Statement> Parse(absl::string_view header,
                                         absl::string_view formal_statement);
};

// What is sent to Lean, after the header, for one proof.
struct Program {
  std::string text;
  // Lines of `text`, from 1. What Lean says of lines up to `last_ours` is about the statement.
  int64_t last_ours = 0;
  int64_t axioms_line = 0;  // of "#print axioms"
  std::string mark;
  std::string check;        // the closing theorem's name
  std::string proposition;  // the statement's
};

// A completion that passed the policy, with the statement it proves.
struct Proof {
  Statement statement;
  std::string code;  // helpers, the statement in our words, the proof

  // INVALID_ARGUMENT, for people, for what policy.cc refuses, imports that the header has not got
  // (those it has are dropped, as is a repeated header), a changed statement, or none. `code` may
  // also be nothing but what follows the statement.
  static absl::StatusOr<Proof> Make(const Statement& statement, absl::string_view code);

  // `mark`: letters and digits that nobody could know when the completion was written.
  Program WithMark(absl::string_view mark) const;
};

// The verdict that a reply to `program` amounts to, the reply's lines being `lines_before` ahead.
// SCORED 1: no error, no sorry, and the closing theorem rests on propext, Classical.choice and
// Quot.sound at most. SCORED 0: Lean says no. BAD_REFERENCE: it says no to the statement itself.
// VERIFIER_UNAVAILABLE: the reply does not say.
v1::ScorePart Judge(const Program& program, const Reply& reply, int64_t lines_before = 0);

// Whether `message` is a report of `#print axioms NAME` that names allowed axioms only.
// INVALID_ARGUMENT: it is no report on NAME.
absl::StatusOr<bool> AxiomsAllowed(absl::string_view message, absl::string_view name);

}  // namespace hone::lean
