// Templates that somebody made to take the process down: each ends with an error, in little time
// and memory.

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "libs/chat/chat_template.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

std::string Times(const std::string& what, int n) {
  std::string all;
  for (int i = 0; i < n; ++i) all += what;
  return all;
}

absl::Status Outcome(const std::string& source) {
  auto chat = ChatTemplate::Parse("t", source);
  if (!chat.ok()) return chat.status();
  return chat->Render({{"s", std::string(1000, 'a')}}, {}, "").status();
}

TEST_CASE("endless work is ended", "[chat]") {
  const auto start = std::chrono::steady_clock::now();
  const std::string loops = Times("{% for i in range(100000) %}", 8) + Times("{% endfor %}", 8);
  const std::string doubling = "{% set ns = namespace(s=s) %}{% for i in range(99) %}";
  for (const std::string& source : {
           loops,
           std::string("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
           std::string("{{ range(1000000000000) }}"),
           doubling + "{% set ns.s = ns.s + ns.s %}{% endfor %}",
           doubling + "{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
           doubling + "{% set ns.s = ns.s.replace('a', s) %}{% endfor %}",
           doubling + "{% set ns.s = [ns.s, ns.s]|join(s) %}{% endfor %}",
           doubling + "{% set ns.s = (ns.s|list) + (ns.s|list) %}{% endfor %}",
           std::string("{{ s * 9223372036854775807 }}"),
           std::string("{% for i in range(100000) %}{{ s }}{% endfor %}"),
           std::string("{% for i in range(100000) %}{% for c in s %}{{ c in s }}{% endfor %}"
                       "{% endfor %}"),
       }) {
    INFO(source.substr(0, 100));
    const absl::Status status = Outcome(source);
    CHECK_FALSE(status.ok());
    CHECK((absl::IsResourceExhausted(status) || absl::IsInvalidArgument(status)));
  }
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(600));
}

TEST_CASE("deep nesting is refused before it costs the stack", "[chat]") {
  constexpr int kMany = 20'000;
  for (const std::string& source : {
           "{{ " + Times("(", kMany) + "1" + Times(")", kMany) + " }}",
           "{{ " + Times("[", kMany) + Times("]", kMany) + " }}",
           "{{ " + Times("not ", kMany) + "1 }}",
           "{{ " + Times("-", kMany) + "1 }}",
           "{{ 1" + Times("+1", kMany) + " }}",
           "{{ s" + Times(".a", kMany) + " }}",
           "{{ s" + Times("|trim", kMany) + " }}",
           "{{ s" + Times("[0:]", kMany) + " }}",
           "{{ 1" + Times(" if 1 else 1", kMany) + " }}",
           "{{ 1" + Times(" and 1", kMany) + " }}",
           "{{ s" + Times(" is defined is defined", kMany) + " }}",
           Times("{% if 1 %}", kMany) + Times("{% endif %}", kMany),
           Times("{% for x in s %}", kMany),
       }) {
    INFO(source.substr(0, 40));
    CHECK_CODE(Outcome(source), absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("what is no template is refused", "[chat]") {
  CHECK_CODE(Outcome("\xC3\x28"), absl::StatusCode::kInvalidArgument);
  CHECK_CODE(Outcome(std::string((1 << 20) + 1, 'a')), absl::StatusCode::kInvalidArgument);
  const std::string whole =
      "{% macro m(a, b=[1]) %}{{ a.b['c'][1:2]|join(d='x') }}{% endmacro %}{% for k, v in s if k "
      "-%}"
      "{% set x = {'a': 1.5} %}{% endfor %}{# c #}";
  CHECK_OK(ChatTemplate::Parse("t", whole));
  for (size_t n = 0; n < whole.size(); ++n) {
    INFO(n);
    (void)Outcome(whole.substr(0, n));  // any status, but an end
  }
}

}  // namespace
}  // namespace hone
