// A chat template from any bytes, rendered for a conversation with tools: it ends, within its
// limits, and marks only bytes of its own text.

#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "libs/chat/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto& variables = *new nlohmann::ordered_json(nlohmann::ordered_json::parse(R"({
    "messages": [{"role": "system", "content": "Be terse."}, {"role": "user", "content": "Grüße <x>\n"},
                 {"role": "assistant", "content": "<think>\na\n</think>\n\nb", "tool_calls": [
                   {"type": "function", "function": {"name": "f", "arguments": {"k": [1, 2.5, null]}}}]},
                 {"role": "tool", "content": "{}"}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "add_generation_prompt": true})"));
  const auto chat =
      hone::ChatTemplate::Parse("t", std::string(reinterpret_cast<const char*>(data), size));
  if (!chat.ok()) return 0;
  const auto rendered = chat->Render(variables, {{"bos_token", "<s>"}}, "2025-01-02");
  if (!rendered.ok()) return 0;
  size_t at = 0;
  for (const hone::ByteRange& r : rendered->foreign) {
    if (r.begin < at || r.end <= r.begin || r.end > rendered->text.size()) std::abort();
    at = r.end;
  }
  return 0;
}
