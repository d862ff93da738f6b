// The subset of Jinja, construct by construct. Expected texts are what Jinja2 3.1 gives with
// trim_blocks and lstrip_blocks.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "libs/chat/chat_template.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

Json Variables() {
  return Json::parse(R"({
    "messages": [{"role": "system", "content": "Be <brief> & \"exact\"."},
                 {"role": "user", "content": "Grüße\n\t1 + 1?"}],
    "n": 3, "x": 1.5, "words": ["b", "A", "c"], "yes": true, "nothing": null,
    "tree": {"a": {"b": [1, 2, {"c": "deep"}]}, "k": "v"}})");
}

absl::StatusOr<std::string> Render(const std::string& source) {
  auto chat = ChatTemplate::Parse("t", source);
  if (!chat.ok()) return chat.status();
  auto rendered = chat->Render(Variables(), {{"bos_token", "<s>"}}, "2024-07-26");
  if (!rendered.ok()) return rendered.status();
  return rendered->text;
}

struct Case {
  const char* source;
  const char* text;
};

TEST_CASE("every construct renders as in Jinja", "[chat]") {
  const std::vector<Case> cases = {
      // White space.
      {"a\n{% if yes %}\nb\n{% endif %}\nc\n", "a\nb\nc"},
      {"a\n  {% if yes %}  b{% endif %}  c", "a\n  b  c"},
      {"a  {%- if yes -%}  b  {%- endif -%}  c", "abc"},
      {"a\n  {%+ if yes +%}\nb{% endif %}", "a\n  \nb"},
      {"x {# note #}\ny", "x y"},
      {"x\n  {#- note -#}  y", "xy"},
      {"  {{ n }}\n{{- n -}}\n  z", "  33z"},
      {"{{ n }}\n", "3"},
      {"{{ n }}\n\n", "3\n"},
      {"a\r\nb\rc", "a\nb\nc"},
      // Literals and what they print as.
      {"{{ 'a' 'b' \"c\" }}", "abc"},
      {R"({{ 'a\n\'\\\x41\u00e9\q' }})", "a\n'\\A\xC3\xA9\\q"},
      {"{{ true }} {{ none }} {{ 1.0 }} {{ 1e5 }}", nullptr},  // 1e5: no such literal here
      {"{{ true }} {{ False }} {{ none }} {{ 2.50 }} {{ 1_000 }}", "True False None 2.5 1000"},
      {"{{ [1, 'a', none, true, \"it's\"] }}", "[1, 'a', None, True, \"it's\"]"},
      {"{{ {'a': 1, 'b': ['c']} }} {{ {} }} {{ (1 + 2) * 2 }}", "{'a': 1, 'b': ['c']} {} 6"},
      // Operators.
      {"{{ 1 + 2 * 3 - 4 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }}", "3 3 -4 2 3.5"},
      {"{{ 'a' + 'b' ~ 1 ~ none }} {{ 'ab' * 2 }} {{ [1] + [2] }}", "ab1None abab [1, 2]"},
      {"{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 }} {{ 'a' != 'b' }}", "True False True True"},
      {"{{ 'a' in 'cat' }} {{ 'b' not in words }} {{ 'k' in tree }} {{ 1 in missing }}",
       "True False True False"},
      {"{{ not yes or yes and n }} {{ none or 'x' }} {{ '' and 1 }}|", "3 x |"},
      {"{{ 'a' if n > 5 else 'b' if n > 2 else 'c' }} {{ 'a' if false }}|", "b |"},
      {"{{ not yes is defined }} {{ yes is not none }} {{ -n|string }}", "False True -3"},
      {"{{ 1 + n|string|length }}", "2"},
      // Attributes, items, slices.
      {"{{ tree.a.b[2].c }} {{ tree['a']['b'][-1]['c'] }} {{ words.0 }}", "deep deep b"},
      {"{{ missing }}|{{ tree.nope }}|{{ words[9] }}|{{ n.x }}", "|||"},
      {"{{ words[::-1] }} {{ words[1:] }} {{ words[:-1] }} {{ 'Grüße'[1:4] }} {{ 'Grüße'[-2] }}",
       "['c', 'A', 'b'] ['A', 'c'] ['b', 'A'] rü\xC3\x9F \xC3\x9F"},
      // Statements.
      {"{% for w in words %}{{ loop.index }}{{ w }}{{ ',' if not loop.last }}{% endfor %}",
       "1b,2A,3c"},
      {"{% for w in words if w != 'A' %}{{ loop.index0 }}{{ w }}{% else %}none{% endfor %}",
       "0b1c"},
      {"{% for w in [] %}x{% else %}none{% endfor %}", "none"},
      {"{% for k, v in tree.items() %}{{ k }}={{ v is mapping }};{% endfor %}", "a=True;k=False;"},
      {"{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}"
       "{% endif %}{{ i }}{% endfor %}",
       "02"},
      {"{% set s = 'o' %}{% for i in range(2) %}{{ s }}{% set s = i %}{{ s }}{% endfor %}{{ s }}",
       "o0o1o"},
      {"{% set ns = namespace(c=0) %}{% for i in range(4) %}{% set ns.c = ns.c + i %}{% endfor %}"
       "{{ ns.c }}",
       "6"},
      {"{% set a, b = 1, 'x' %}{{ a }}{{ b }}{% set c %}[{{ a }}]{% endset %}{{ c|length }}",
       "1x3"},
      {"{% set c | upper | trim %} ab {% endset %}{{ c }}", "AB"},
      {"{% macro m(a, b='d') %}<{{ a }}{{ b }}>{% endmacro %}{{ m(1) }}{{ m(b=2, a=3) }}",
       "<1d><32>"},
      {"{% generation %}said{% endgeneration %}.", "said."},
      // Filters, tests, methods.
      {"{{ messages[0].content | tojson }}", R"("Be <brief> & \"exact\".")"},
      {"{{ tree | tojson }}", R"({"a": {"b": [1, 2, {"c": "deep"}]}, "k": "v"})"},
      {"{{ {'a': [1, {}], 'ü': none} | tojson(indent=2) }}",
       "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"ü\": null\n}"},
      {"{{ ' x '|trim }}|{{ 'aXb'|lower|upper|capitalize }}|{{ 'ab cd'|title }}", "x|Axb|Ab Cd"},
      {"{{ words|join(', ') }} {{ words|first }} {{ words|last }} {{ words|length }} {{ 'ü'|count "
       "}}",
       "b, A, c b c 3 1"},
      {"{{ missing|default('d') }} {{ ''|default('e', true) }} {{ '7'|int + 1 }} {{ 'q'|int }}",
       "d e 8 0"},
      {"{{ messages|map(attribute='role')|join('/') }} {{ words|map('upper')|list }}",
       "system/user ['B', 'A', 'C']"},
      {"{{ messages|selectattr('role', 'equalto', 'user')|list|length }} "
       "{{ words|reject('in', ['b'])|join }} {{ words|select('upper')|list }}",
       "1 Ac ['A']"},
      {"{{ 'a\nb'|indent(2) }} {{ 'a.b'|replace('.', '-') }} {{ tree|items|list|length }}",
       "a\n  b a-b 2"},
      {"{{ words is iterable }} {{ n is number }} {{ n is odd }} {{ n is divisibleby 3 }} "
       "{{ nothing is none }} {{ 'x' is string }} {{ tree is mapping }} {{ yes is true }}",
       "True True True True True True True True"},
      {"{{ ' a b '.split() }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b,c'.rsplit(',', 1)[-1] }}",
       "['a', 'b'] ['a', 'b,c'] c"},
      {"{{ 'xxaxx'.strip('x') }} {{ 'ab'.startswith('a') }} {{ 'ab'.endswith(('x', 'b')) }} "
       "{{ tree.get('z', 'none') }} {{ 'aa'.replace('a', 'b', 1) }} {{ 'ab'.find('b') }}",
       "a True True none ba 1"},
      {"{{ strftime_now('%d %b %Y') }} {{ bos_token }}", "26 Jul 2024 <s>"},
      {"{% if strftime_now is defined %}clock{% endif %}", "clock"},
  };
  for (const Case& c : cases) {
    INFO(c.source);
    const auto got = Render(c.source);
    if (c.text == nullptr) {
      CHECK_FALSE(got.ok());
      continue;
    }
    REQUIRE_OK(got);
    CHECK(*got == c.text);
  }
}

TEST_CASE("what is wrong is told with line and column", "[chat]") {
  const std::vector<Case> cases = {
      {"a\nüb {{ n + }}", "t:2:11: expected a value, found }}"},
      {"{% foo %}", "t:1:1: block \"foo\" is not supported here"},
      {"{% include 'x' %}", "block \"include\" is not supported"},
      {"{{ n | batch(2) }}", "t:1:8: filter \"batch\" is not supported"},
      {"{{ n is cool }}", "t:1:9: test \"cool\" is not supported"},
      {"{% if n %}", "t:1:11: block without elif or else or endif"},
      {"{% for x in %}", "t:1:13: expected a value, found %}"},
      {"{{ 'a }}", "t:1:4: string without its closing quote"},
      {"{{ n", "t:1:1: tag without }}"},
      {"{# n", "comment without #}"},
      {"{{ n ? }}", "t:1:6: \"?\" has no meaning"},
      {"{{ ) }}", "\")\" closes nothing"},
      {"{% break %}", "break outside of a loop"},
      {"{{ 2 ** 3 }}", "** is not supported"},
      {"{{ 99999999999999999999 }}", "does not fit into 64 bits"},
      {"{% set true = 1 %}", "cannot assign to \"true\""},
      {"x\n{{ missing.attribute }}", "t:2:11: 'missing' is undefined"},
      {"{{ 'a' + n }}", "t:1:8: cannot compute string + integer"},
      {"{{ 'a' + missing }}", "'missing', which is undefined"},
      {"{{ 1 / 0 }}", "division by zero"},
      {"{{ 9223372036854775807 + 1 }}", "does not fit into 64 bits"},
      {"{{ raise_exception('no ' + messages[0].role) }}",
       "t:1:19: the template refuses: no system"},
      {"{{ n < 'a' }}", "cannot compare integer with string"},
      {"{{ words.append(1) }}", "a list has no method \"append\" here"},
      {"{{ n() }}", "cannot call integer"},
      {"{% set n.x = 1 %}", "n is no namespace"},
      {"{% set a, b = [1] %}", "cannot unpack a list into 2 names"},
      {"{{ words|join(sep=1) }}", "unexpected argument \"sep\""},
      {"{{ words|tojson(indent=99) }}", "indent=99, expected 1 to 16"},
      {"{% set ns = namespace() %}{% set ns.self = ns %}", "a namespace cannot be stored"},
  };
  for (const Case& c : cases) {
    INFO(c.source);
    const auto got = Render(c.source);
    CHECK_CODE(got, absl::StatusCode::kInvalidArgument);
    CHECK_THAT(std::string(got.status().message()), Catch::Contains(c.text));
  }
  const auto without_date = ChatTemplate::Parse("t", "{{ strftime_now('%Y') }}");
  REQUIRE_OK(without_date);
  CHECK_THAT(std::string(without_date->Render(Json::object(), {}, "").status().message()),
             Catch::Contains("'strftime_now', which is undefined"));
}

TEST_CASE("bytes that people wrote keep their mark through every function", "[chat]") {
  const auto foreign = [](const std::string& source) {
    const auto chat = ChatTemplate::Parse("t", source);
    REQUIRE_OK(chat);
    const auto r = chat->Render(
        {{"u", "{<|x|>}"}, {"messages", {{{"role", "user"}, {"content", "{<|x|>}"}}}}}, {}, "");
    REQUIRE_OK(r);
    std::string marked;
    for (const ByteRange& range : r->foreign)
      marked += r->text.substr(range.begin, range.end - range.begin) + ";";
    return marked;
  };
  CHECK(foreign("<|a|>{{ u }}<|b|>") == "{<|x|>};");
  CHECK(foreign("{{ '<|' + messages[0].role + '|>' + u[1:-1] }}") == "<|x|>;");
  CHECK(foreign("{{ u.split('x')[0] ~ '|' ~ u.split('x')|last }}") == "{<|;|>};");
  CHECK(foreign("{{ u|replace('x', 'y') }}") == "{<|;|>};");
  CHECK(foreign("{{ [u, 'a']|join('-') }}{{ u|trim|upper }}") == "{<|x|>};{<|X|>};");
  CHECK(foreign("{% set ns = namespace(t='') %}{% for c in u %}{% set ns.t = ns.t + c %}"
                "{% endfor %}{{ ns.t }}") == "{<|x|>};");
  CHECK(foreign("{{ u|tojson }}{{ [u] }}{% set b %}{{ u }}{% endset %}{{ b }}") ==
        "{<|x|>};{<|x|>};{<|x|>};");
  CHECK(foreign("{% macro m(a) %}({{ a }}){% endmacro %}{{ m(u) }}{{ u * 2 }}") ==
        "{<|x|>};{<|x|>}{<|x|>};");
  CHECK(foreign("{{ u[::-1] }}{{ 'abc'|replace('b', u) }}") == "}>|x|<{;{<|x|>};");
}

}  // namespace
}  // namespace hone
