#include "libs/reward/lean/statement.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/reward_lean/fake.h"

namespace hone::lean {
namespace {

using testing::kHeader;
using testing::kStatement;
using testing::ProofOf;

// What Proof::Make says of `code`: "OK" or the reason.
std::string Made(const std::string& code, const std::string& formal = kStatement) {
  const absl::StatusOr<Statement> statement = Statement::Parse(kHeader, formal);
  REQUIRE_OK(statement);
  const absl::Status status = Proof::Make(*statement, code).status();
  return status.ok() ? "OK" : std::string(status.message());
}

TEST_CASE("a statement is taken apart", "[reward_lean]") {
  auto s = Statement::Parse(
      "import Mathlib -- all\nopen Real",
      "/-- Doc. -/\ndef f (x : ℝ) := x\n\nopen Nat in\ntheorem A.b' {p : ℕ} [Fact p.Prime]\n"
      "  (h : f 1 = 1 := by simp) : let x := 3; x = p := by\n  sorry\n");
  REQUIRE_OK(s);
  CHECK(s->header == "import Mathlib       \nopen Real");
  CHECK(s->context == "def f (x : ℝ) := x");
  CHECK(s->prefix == "open Nat in");
  CHECK(s->keyword == "theorem");
  CHECK(s->name == "A.b'");
  CHECK(s->binders == "{p : ℕ} [Fact p.Prime]\n  (h : f 1 = 1 := by simp)");
  CHECK(s->type == "let x := 3; x = p");
  CHECK(s->by);
  s = Statement::Parse("", "private lemma n: 1 = 1");
  REQUIRE_OK(s);
  CHECK(s->keyword == "theorem");
  CHECK(s->name == "n");
  CHECK(s->context.empty());
  CHECK_FALSE(s->by);
  s = Statement::Parse("", "noncomputable def e {A B : Type*} [Group A] :\n  A ≃* B :=");
  REQUIRE_OK(s);
  CHECK(s->keyword == "def");
  CHECK(s->type == "A ≃* B");

  for (const char* wrong :
       {"", "theorem", "theorem X", "theorem X := by", "theorem : 1 = 1 := by",
        "example : 1 = 1 := by", "theorem X : 1 = 1 := by norm_num", "theorem X : 1 = 1 := sorry x",
        "theorem X.{u} : 1 = 1 := by", "def a : ℕ := sorry\ntheorem X : a = 1 := by",
        "theorem X : := by", "/- theorem X : 1 = 1", "theorem X (h : 1 = 1) := by"}) {
    INFO(wrong);
    CHECK_CODE(Statement::Parse("", wrong), absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("the statement is ours, word for word, in both forms of an answer", "[reward_lean]") {
  const std::string ours = "theorem X (x : ℝ) (h : x > 0) : x ≠ 0 :=";
  CHECK(ProofOf("lemma a : True := trivial\n\nlemma X (x:ℝ)\n    (h : x > 0) /- ! -/ : x≠0 := by\n "
                " exact h.ne'")
            .code == "lemma a : True := trivial\n\n" + ours + " by\n  exact h.ne'");
  CHECK(ProofOf("  exact h.ne'\n").code == ours + " by\n  exact h.ne'\n");
  CHECK(ProofOf("by exact h.ne'").code == ours + " by exact h.ne'");
  CHECK(ProofOf(":= by exact h.ne'").code == ours + "  by exact h.ne'");
  // The header again, with more in it than ours has.
  const std::string repeated = ProofOf(
                                   "import Mathlib\nimport Mathlib.Tactic\n\nopen Real\nopen "
                                   "Nat\ntheorem X (x : ℝ) (h : x > 0) : x ≠ 0 := h.ne'")
                                   .code;
  CHECK(absl::EndsWith(repeated, "open Nat\n" + ours + " h.ne'"));
  CHECK_FALSE(absl::StrContains(repeated, "import"));
  CHECK_FALSE(absl::StrContains(repeated, "open Real"));
  // A definition that the statement needs, repeated.
  const Proof proof = ProofOf("def f := 1\ntheorem Y : f = 1 := rfl", "",
                              "def f := 1\n\ntheorem Y : f = 1 := by\n  sorry");
  CHECK(proof.code == "          \ntheorem Y : f = 1 := rfl");
}

TEST_CASE("another statement under the same name is no proof of ours", "[reward_lean]") {
  CHECK(Made("theorem X (x : ℝ) (h : x > 1) : x ≠ 0 := by\n  linarith") ==
        "the statement of X was changed: \"1\" for \"0\"");
  CHECK(Made("theorem X (x : ℝ) (h : x > 0) (h' : x ≠ 0) : x ≠ 0 := h'") ==
        "the statement of X was changed: \"(\" for \":\"");
  CHECK(Made("theorem X (x : ℝ) (h : x > 0) : x ≠ 0 ∨ True := by simp") ==
        "the statement of X was changed: it goes on");
  CHECK(Made("theorem X (x : ℝ) (h : x > 0) : x ≠ 0\n  | _ => trivial") ==
        "the statement of X was changed: it goes on");
  CHECK(Made("theorem Y : True := trivial") == "no declaration of \"X\"");
  CHECK(Made("example : True := trivial") == "no declaration of \"X\"");
  CHECK(Made("def X (x : ℝ) (h : x > 0) : x ≠ 0 := h.ne'\ntheorem Y : True := trivial") ==
        "no declaration of \"X\"");
  CHECK(Made("") == "no proof");
  CHECK(Made("-- trivial") == "no proof");
  CHECK(Made("import Foo\ntheorem X (x : ℝ) (h : x > 0) : x ≠ 0 := by simp") ==
        "import \"Foo\" is not in the header");
  CHECK(Made("import Mathlibx\nsimp") == "import \"Mathlibx\" is not in the header");
  CHECK(absl::StrContains(Made("simp\nimport Mathlib"), "import is not allowed"));
  CHECK(absl::StrContains(Made("native_decide"), "native_decide is not allowed"));
  // The copy that counts is the last, and the others stay: Lean refuses a second one of the name.
  CHECK(absl::StrContains(ProofOf("namespace A\ntheorem X : True := trivial\nend A\n"
                                  "theorem X (x : ℝ) (h : x > 0) : x ≠ 0 := h.ne'")
                              .code,
                          "theorem X : True"));
}

TEST_CASE("the program says the statement before and after the completion", "[reward_lean]") {
  const Program program = ProofOf("exact h.ne'").WithMark("m");
  CHECK(program.text ==
        "\ndef _root_.honeStatement_m : Prop :=\n  ∀ (x : ℝ) (h : x > 0), x ≠ 0\n"
        "theorem _root_.honeBegin_m : True := True.intro\n"
        "theorem X (x : ℝ) (h : x > 0) : x ≠ 0 := by\nexact h.ne'\n\n"
        "theorem _root_.honeCheck_m : _root_.honeStatement_m := @X\n"
        "#print axioms _root_.honeCheck_m\n");
  CHECK(program.last_ours == 4);
  CHECK(program.axioms_line == 9);
  const Program data = ProofOf("⟨1⟩", "", "open Nat in\ndef E : Inhabited Nat :=").WithMark("m");
  CHECK(absl::StrContains(data.text,
                          "open Nat in\ndef _root_.honeStatement_m :=\n  Inhabited Nat\n"));
  CHECK(absl::StrContains(data.text, "open Nat in\ndef E : Inhabited Nat := ⟨1⟩"));
  CHECK(absl::StrContains(data.text,
                          "noncomputable def _root_.honeCheck_m : _root_.honeStatement_m := @E\n"));
}

TEST_CASE("reports on axioms are believed about our name only", "[reward_lean]") {
  CHECK(*AxiomsAllowed("'c' does not depend on any axioms", "c"));
  CHECK(
      *AxiomsAllowed("'c' depends on axioms: [propext,\n Classical.choice,\n Quot.sound]\n", "c"));
  CHECK_FALSE(*AxiomsAllowed("'c' depends on axioms: [propext, sorryAx]", "c"));
  CHECK_FALSE(*AxiomsAllowed("'c' depends on axioms: [propext, Quot.sound.x]", "c"));
  CHECK_FALSE(*AxiomsAllowed("'c' depends on axioms: [propext Quot.sound]", "c"));
  CHECK_FALSE(*AxiomsAllowed("'c' depends on axioms: [Lean.ofReduceBool]", "c"));
  CHECK_FALSE(*AxiomsAllowed("'c' depends on axioms: [x,]", "c"));
  for (const char* other : {"", "'d' does not depend on any axioms", "'cc' depends on axioms: []",
                            "'c' depends on axioms: [propext", "c does not depend on any axioms",
                            "'c' does not depend on any axioms!"})
    CHECK_CODE(AxiomsAllowed(other, "c"), absl::StatusCode::kInvalidArgument);
}

// {total, parsed, made}: statements of a file, those that can be taken apart, and those of which an
// honest answer in both forms passes.
struct Coverage {
  int total = 0, parsed = 0, made = 0;
};
Coverage CoverageOf(const std::string& file) {
  Coverage coverage;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const auto problem = nlohmann::json::parse(line);
    ++coverage.total;
    const std::string header = problem["header"], formal = problem["formal_statement"];
    const absl::StatusOr<Statement> statement = Statement::Parse(header, formal);
    if (!statement.ok()) {
      WARN(problem["name"] << ": " << statement.status().message());
      continue;
    }
    ++coverage.parsed;
    const std::string informal = problem["informal_prefix"];
    const std::string whole =
        header + informal + formal + (statement->by ? "  simp_all\n" : " by\n  simp_all\n");
    const absl::Status made = Proof::Make(*statement, whole).status();
    const absl::Status continued =
        Proof::Make(*statement, statement->by ? "  simp_all" : "by simp_all").status();
    if (!made.ok()) WARN(problem["name"] << ": " << made.message());
    coverage.made += made.ok() && continued.ok();
  }
  return coverage;
}

TEST_CASE("public statements can be pinned", "[reward_lean]") {
  const char* data = std::getenv("HONE_DATA");
  if (data == nullptr) HONE_SKIP("HONE_DATA is not set");
  const Coverage minif2f = CoverageOf(std::string(data) + "/lean/dsprover_minif2f.jsonl");
  CHECK(minif2f.total == 488);
  CHECK(minif2f.made == 488);
  const Coverage proofnet = CoverageOf(std::string(data) + "/lean/dsprover_proofnet.jsonl");
  CHECK(proofnet.total == 371);
  CHECK(proofnet.made == 371);
}

}  // namespace
}  // namespace hone::lean
