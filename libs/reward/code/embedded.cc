#include "libs/reward/code/embedded.h"

#include "libs/base/embed.h"

// The folder is given by CMakeLists.txt.
HONE_EMBED(hone_code_wire_py, HONE_CODE_RUNTIME "/wire.py");
HONE_EMBED(hone_code_tester_py, HONE_CODE_RUNTIME "/tester.py");
HONE_EMBED(hone_code_candidate_py, HONE_CODE_RUNTIME "/candidate.py");
HONE_EMBED(hone_code_wire_js, HONE_CODE_RUNTIME "/wire.js");
HONE_EMBED(hone_code_tester_js, HONE_CODE_RUNTIME "/tester.js");
HONE_EMBED(hone_code_candidate_js, HONE_CODE_RUNTIME "/candidate.js");
HONE_EMBED(hone_code_values_h, HONE_CODE_RUNTIME "/values.h");
HONE_EMBED(hone_code_bridge_h, HONE_CODE_RUNTIME "/bridge.h");
HONE_EMBED(hone_code_wire_sh, HONE_CODE_RUNTIME "/wire.sh");
HONE_EMBED(hone_code_candidate_sh, HONE_CODE_RUNTIME "/candidate.sh");
HONE_EMBED(hone_code_tester_sh, HONE_CODE_RUNTIME "/tester.sh");

namespace hone::code {

absl::string_view WirePython() {
  return HONE_EMBEDDED(hone_code_wire_py);
}
absl::string_view TesterPython() {
  return HONE_EMBEDDED(hone_code_tester_py);
}
absl::string_view CandidatePython() {
  return HONE_EMBEDDED(hone_code_candidate_py);
}
absl::string_view WireJavaScript() {
  return HONE_EMBEDDED(hone_code_wire_js);
}
absl::string_view TesterJavaScript() {
  return HONE_EMBEDDED(hone_code_tester_js);
}
absl::string_view CandidateJavaScript() {
  return HONE_EMBEDDED(hone_code_candidate_js);
}
absl::string_view ValuesHeader() {
  return HONE_EMBEDDED(hone_code_values_h);
}
absl::string_view BridgeHeader() {
  return HONE_EMBEDDED(hone_code_bridge_h);
}
absl::string_view WireShell() {
  return HONE_EMBEDDED(hone_code_wire_sh);
}
absl::string_view CandidateShell() {
  return HONE_EMBEDDED(hone_code_candidate_sh);
}
absl::string_view TesterShell() {
  return HONE_EMBEDDED(hone_code_tester_sh);
}

}  // namespace hone::code
