// What a proof may not contain, and what an honest one may.

#include "libs/reward/lean/source.h"
#include "tests/reward_lean/fake.h"

namespace hone::lean {
namespace {

// "OK", or why the text is refused.
std::string Refusal(absl::string_view code) {
  const absl::StatusOr<std::string> clean = RemoveComments(code);
  if (!clean.ok()) return std::string(clean.status().message());
  const absl::Status status = CheckPolicy(*clean, Tokenize(*clean));
  return status.ok() ? "OK" : std::string(status.message());
}

TEST_CASE("comments become spaces, all else keeps its place", "[reward_lean]") {
  CHECK(*RemoveComments("a -- b ℝ\nc") == "a       \nc");
  CHECK(*RemoveComments("a /- b /- c -/ \n -/ d") == "a              \n    d");
  CHECK(*RemoveComments("/-- doc ℝ -/ theorem") == "             theorem");
  CHECK(*RemoveComments("x\r\ny") == "x\ny");
  CHECK(*RemoveComments("\"a b\" «x.y»") == "\"a b\" «x.y»");
  CHECK(*RemoveComments("a ---/ b\nc") == "a       \nc");
  CHECK(*RemoveComments("") == "");
}

TEST_CASE("what could be read in two ways is refused", "[reward_lean]") {
  for (const char* code :
       {"/- never ends", "/- /- -/", "x -/ y", "\"no end", "\"a\nb\"", "\"a\\\"b\"", "\"{x}\"",
        "\"a -- b\"", "\"a /- b\"", "\"a -/ b\"", "s!\"x\"", "r\"x\"", "r#\"x\"#", "'\"'",
        "'\\\"' axiom cheat : False --\"", "∘'\"' axiom", "«a b»", "«a\"b»", "«", "»", "«a",
        "«a«b»", "'«' axiom cheat : False '»'", "a\x01b", "a\rb", "\xff",
        // Two marks of which each is cut out leave a third.
        "-/- -/-", "//- -/- axiom"}) {
    INFO(code);
    CHECK(Refusal(code) != "OK");
  }
  // For Lean this comment ends at the first "-/". For us it does not; the axiom is gone either way.
  CHECK(RemoveComments("/-/- -/ axiom cheat : False /- -/ -/")->find("axiom") == std::string::npos);
}

TEST_CASE("every way to cheat that was ever seen is refused", "[reward_lean]") {
  for (const char* code :
       {// verifiers#2177
        "axiom cheat : False\ntheorem X : False := cheat", "theorem X : 1 = 2 := by\n  sorry",
        "exact sorryAx _ true", "by admit", "opaque x : False",
        "partial def f : Nat → False := fun n => f n", "unsafe def f : False := unsafeCast ()",
        "unsafeIO", "instance : Inhabited False := lcProof",
        // Native code
        "by native_decide", "by decide +native", "by decide (config := { native := true })",
        "by bv_decide", "Lean.ofReduceBool", "«Lean».ofReduceBool", "open «Lean» in x",
        "ofReduceBool a b rfl", "«ofReduceBool»", "Lean.trustCompiler",
        "@[implemented_by g] def f := 1", "@[extern \"c\"] def f := 1",
        "@[csimp] theorem a : f = g", "@[«implemented_by» g] def f := 1",
        "attribute [implemented_by g] f", "@[export foo] def f := 1", "@[init] def f := 1",
        "@[simp, init f] def g := 1", "@[simp.x] def g := 1",
        // terminal-bench#1349
        "set_option debug.skipKernelTC true", "set_option «debug».skipKernelTC true in",
        "set_option\n  debug.skipKernelTC true", "set_option debug . skipKernelTC true",
        "run_cmd Elab.Command.modifyScope fun s => {s with opts := s.opts.setBool "
        "`debug.skipKernelTC true}",
        "set_option pp.all true", "set_option maxHeartbeats.x 1",
        // terminal-bench-science#325
        "macro \"#print\" \"axioms\" x:ident : command => `(#eval 1)",
        "elab \"x\" : tactic => pure ()", "macro_rules | `(tactic| rfl) => `(tactic| trivial)",
        "elab_rules : tactic | _ => pure ()", "syntax \"x\" : term", "notation \"ℝ\" => Nat",
        "local notation3 \"x\" => 1", "infixl:65 \" + \" => f",
        "local infix:50 \" < \" => fun _ _ => True", "prefix:max \"√\" => id",
        "postfix:90 \"!\" => id", "binder_predicate x", "declare_syntax_cat c", "unif_hint x",
        // terminal-bench#1768
        "#eval IO.FS.writeFile \"a\" \"b\"", "#eval! 1", "#evalx", "#print axioms X", "#exit",
        "#check 1", "#reduce 1", "run_cmd 1", "run_elab 1", "run_meta 1", "by run_tac 1",
        "by_elab 1", "initialize x : Nat ← pure 1", "builtin_initialize",
        "simproc x (1) := fun e => 1", "register_simp_attr x", "compile_inductive Nat", "eval% 1",
        "include_str \"/etc/passwd\"", "dbg_trace \"x\"", "import Lean", "x\nimport Mathlib",
        "prelude",
        // Without a space before
        "exact foo 1axiom cheat : False", "0x1axiom", "1e5axiom", "0b1macro", "x)axiom c : False",
        "⟨a⟩axiom c : False", "x'axiom c : False", "''axiom c : False", "f?axiom", "α.axiom"}) {
    INFO(code);
    CHECK(Refusal(code) != "OK");
  }
}

TEST_CASE("honest proofs pass", "[reward_lean]") {
  for (const char* code : {"theorem X : 1 = 1 := by\n  norm_num",
                           "axiomatic",
                           "theorem axioms_of_choice : True := trivial",
                           "-- axiom cheat : False\n/- sorry /- native_decide -/ -/ trivial",
                           "«axiom»",
                           "«sorry».x",
                           "\"axiom\"",
                           "exact absurd h (by decide)",
                           "simp [elabX_ne, mul_comm] at h ⊢",
                           "set_option maxHeartbeats 400000 in",
                           "set_option linter.unusedVariables false",
                           "set_option maxRecDepth 1000",
                           "@[simp] lemma a : True := trivial",
                           "@[simp, reducible] def f := 1",
                           "attribute [local simp] mul_comm",
                           "attribute [-simp] a in",
                           "@[simp ↓ high] lemma a",
                           "@[aesop safe (rule_sets := [x])] lemma a",
                           "@foo x",
                           "#s + #A.filter (fun x => x > 2)",
                           "f '' s ∩ g ⁻¹' t",
                           "h₀' x'' 'a'",
                           "n%2",
                           "type_of% x",
                           "local instance : Fact p := ⟨h⟩",
                           "open Real in",
                           "private lemma a",
                           "x ▸ h",
                           "fun ⟨a, b⟩ ↦ a",
                           "noncomputable def f : ℕ := Classical.choose h",
                           "decreasing_by exact h",
                           "calc a = b := by ring\n  _ = c := by rw [h]"}) {
    INFO(code);
    const std::string refusal = Refusal(code);
    // A word that only begins like one of the refused ones is refused too: that is the price.
    if (absl::StrContains(code, "elabX")) {
      CHECK(absl::StrContains(refusal, "elabX"));
    } else {
      CHECK(refusal == "OK");
    }
  }
  CHECK(Refusal("a\n/- x\n -/ b\n  native_decide") ==
        "line 4: native_decide is not allowed in a proof");
}

TEST_CASE("hostile text takes linear time", "[reward_lean]") {
  const size_t n = 256 << 10;
  for (const char* piece : {"/-", "-/", "--\n", "\"", "\"\"", "«»", "@[", "attribute [simp", "#",
                            "1", "set_option ", "(", "theorem X ", ":= ", "'", "/", "-"}) {
    std::string code;
    while (code.size() < n) code += piece;
    const TimePoint start = SystemClock::Get().Now();
    Refusal(code);
    const auto statement = Statement::Parse(testing::kHeader, testing::kStatement);
    (void)Proof::Make(*statement, code);
    INFO(piece);
    CHECK(SystemClock::Get().Now() - start < std::chrono::seconds(1));
  }
}

}  // namespace
}  // namespace hone::lean
