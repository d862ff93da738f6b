// escapes/ at each level, as root, as nobody, and in an emulated restricted pod.

#include "tests/sandbox/escape_run.h"

namespace hone::sandbox {
namespace {

TEST_CASE("escapes: without isolation many succeed, so that the attempts are real") {
  const SuiteOutcome o = RunSuite("0 quick");
  INFO(o.output);
  int escapes = 0;
  for (size_t at = 0; (at = o.output.find("ESCAPE by", at)) != std::string::npos; ++at) ++escapes;
  CHECK(escapes >= 20);
}

TEST_CASE("escapes: none at level 3") {
  ExpectNoEscape("3");
}

TEST_CASE("escapes: none at level 2") {
  ExpectNoEscape("2");
}

TEST_CASE("escapes: none at level 1") {
  ExpectNoEscape("1");
}

TEST_CASE("escapes: none at level 2 as nobody") {
  ExpectNoEscape("2 uid=65534");
}

TEST_CASE("escapes: none at level 1 as nobody") {
  ExpectNoEscape("1 uid=65534");
}

TEST_CASE("escapes: none at level 1 in an emulated restricted pod, with processes") {
  ExpectNoEscape("1 uid=10001 pod");
}

}  // namespace
}  // namespace hone::sandbox
