// The messages of a program under test, in both dialects: any bytes end in messages or in an error,
// and a message whose values were accepted is read to its end by those that take them.

#include <cstdint>
#include <cstdlib>

#include "libs/reward/code/dialect.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  hone::code::CheckValues(bytes).IgnoreError();
  for (const auto& dialect : {hone::code::FrameDialect(), hone::code::ShellDialect()}) {
    // In pieces, as a channel gives them.
    for (size_t at = 0; at < size;) {
      const size_t step = 1 + data[at] % 7;
      dialect->Append(bytes.substr(at, step));
      at += step;
      auto message = dialect->Next();
      while (message.ok() && message->has_value()) {
        absl::string_view body = (*message)->body;
        const bool checked = hone::code::CheckValues(body).ok();
        while (hone::code::TakeText(body).has_value() || hone::code::TakeInteger(body).has_value())
          continue;
        const std::string written = dialect->Write((*message)->kind, (*message)->body);
        if (checked && written.empty()) std::abort();
        message = dialect->Next();
      }
      if (!message.ok()) break;  // the channel is of no more use
    }
  }
  return 0;
}
