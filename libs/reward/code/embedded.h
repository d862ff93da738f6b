#pragma once

// The texts of runtime/, as they are: what runs inside the sandbox always fits what was built.

#include "absl/strings/string_view.h"

namespace hone::code {

absl::string_view WirePython();
absl::string_view TesterPython();
absl::string_view CandidatePython();
absl::string_view WireJavaScript();
absl::string_view TesterJavaScript();
absl::string_view CandidateJavaScript();
absl::string_view ValuesHeader();  // C++
absl::string_view BridgeHeader();  // C++, after ValuesHeader
absl::string_view WireShell();
absl::string_view TesterShell();
absl::string_view CandidateShell();

}  // namespace hone::code
