#pragma once

// What a tester and a program under test say to each other through this process: messages over the
// channels of two sandboxed programs. A message is a frame: its size (uint32, little endian), then
// a byte that says what it is, then values, one after another.
//
//   tester   -> c operation, target, arguments...   relayed to the program
//               e passed, total, why                the tests are over (integers, text)
//               b why                               the tests themselves are unusable
//            -> p bytes                             its tests, prepared; before any call, to be kept here
//                                                   and given back with the same tests
//   program  -> o                                   loaded, ready for calls
//               v value                             what a call gave; relayed to the tester
//               x type, text                        what a call (or loading) raised; relayed
//   here     -> l ...                               to both: what to load
//               g why                               to the tester: the program is gone
//
// A value is a byte that says its kind, then:
//   N none   T true   F false   D double (8 bytes)   C complex (two doubles)
//   I integer (hexadecimal digits, '-' before them)   S text (UTF-8)   B bytes: uint32 size, bytes
//   L list   U tuple   E set   Z frozen set: uint32 count, values    M map: uint32 count, pairs
//   X value of a known type: its name (S), what it is made from (one value)
//   H object that stays with the program: number (uint64), name of its type (S)
//
// Everything that a program sends is hostile. It is checked here and then decoded by the tester
// into plain types; no message can make a verdict but the tester's own.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace hone::code {

inline constexpr size_t kMaxFrame = size_t{8} << 20;
inline constexpr int kMaxDepth = 64;
inline constexpr int64_t kMaxValues = int64_t{1} << 20;  // of one message

struct Message {
  char kind = 0;
  std::string body;
};

// OK when `body` is a row of whole, well-formed values within the limits; else INVALID_ARGUMENT
// with the place and what was wrong there. Linear.
absl::Status CheckValues(absl::string_view body);

// Puts frames together out of the pieces that a channel gives. One thread.
class FrameReader {
 public:
  void Append(absl::string_view bytes) { bytes_.append(bytes.data(), bytes.size()); }
  // The next message; none while it is not whole. INVALID_ARGUMENT for a frame of no byte or too
  // many; then the channel is of no more use.
  absl::StatusOr<std::optional<Message>> Next();

 private:
  std::string bytes_;
  size_t at_ = 0;
};

std::string Frame(char kind, absl::string_view body);

void PutText(std::string& body, absl::string_view text);
void PutInteger(std::string& body, int64_t value);
void PutBool(std::string& body, bool value);
void PutCount(std::string& body, char tag, size_t count);

// Takes a text or an integer (of at most 15 digits) from the front of `body`; none where something
// else stands there.
std::optional<std::string> TakeText(absl::string_view& body);
std::optional<int64_t> TakeInteger(absl::string_view& body);

}  // namespace hone::code
