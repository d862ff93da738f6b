#pragma once

// How messages (wire.h) are written on a channel: as frames, or as text for shells, which can hold
// texts without 0 bytes only.
//
// From a shell: the kind, then the number of words and ':', then each word as its size, ':' and its
// bytes ("v2:1:04:even"). To a shell: a line of the kind and the words, each 'w' and its bytes in
// octal ("vw\0060 w\0145\0166\0145\0156").

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/reward/code/wire.h"

namespace hone::code {

// One side of one channel. One thread.
class Dialect {
 public:
  virtual ~Dialect() = default;
  virtual void Append(absl::string_view bytes) = 0;
  // As FrameReader::Next.
  virtual absl::StatusOr<std::optional<Message>> Next() = 0;
  virtual std::string Write(char kind, absl::string_view body) const = 0;
};

std::unique_ptr<Dialect> FrameDialect();
// Words become texts; those of 'e' become two integers and a text.
std::unique_ptr<Dialect> ShellDialect();

}  // namespace hone::code
