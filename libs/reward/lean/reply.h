#pragma once

// What a Lean REPL answers: JSON objects, each followed by a blank line. The bytes come from a
// process that runs foreign code, so nothing in them is believed before it was checked.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace hone::lean {

// Cuts a stream into frames: runs of lines between blank ones. Each byte is looked at once; a frame
// in progress takes no more than the limit, its blank line included. Not thread-safe.
class FrameReader {
 public:
  // `max_frame_bytes` >= 1.
  explicit FrameReader(int64_t max_frame_bytes) : limit_(max_frame_bytes) {}

  // More of the stream. OUT_OF_RANGE when a frame is longer than the limit; nothing can be read
  // after that, because nobody knows where the next one starts.
  absl::Status Feed(absl::string_view bytes);

  // The oldest whole frame, without the blank line; nothing when none is whole.
  std::optional<std::string> Next();

  // Whether there is anything that Next has not given: a frame, or a part of one.
  bool pending() const { return !frames_.empty() || !frame_.empty(); }

 private:
  const int64_t limit_;
  std::string frame_;      // whole lines, then the line in progress
  size_t line_start_ = 0;  // of the line in progress, in frame_
  bool overflow_ = false;
  std::deque<std::string> frames_;
};

struct Message {
  enum class Severity { kInfo, kWarning, kError };
  Severity severity = Severity::kInfo;
  int64_t line = 0;    // from 1, in the text of the command
  int64_t column = 0;  // from 0, in code points
  std::string data;
};

// The fields that decide; infotrees, tactics and goals are checked as JSON and dropped.
struct Reply {
  std::optional<int64_t> env;        // of the new environment
  std::optional<std::string> error;  // {"message": ...}: the command was not run
  std::vector<Message> messages;
  int64_t sorries = 0;
  double seconds = 0;  // remote verifiers say how long they took
};

// INVALID_ARGUMENT for anything but one JSON object whose known fields have the right types, at
// most 100,000 messages. `what` names the peer in errors.
absl::StatusOr<Reply> ParseReply(absl::string_view frame, absl::string_view what);

// One result of a Kimina Lean server's /verify.
struct RemoteResult {
  std::string id;
  std::optional<std::string> error;  // why there is no reply
  std::optional<Reply> reply;
};

// {"results": [{"custom_id", "error", "response"}]}. INVALID_ARGUMENT as above, or when a result
// has both an error and a reply, or neither.
absl::StatusOr<std::vector<RemoteResult>> ParseRemoteResults(absl::string_view body,
                                                             absl::string_view what);

}  // namespace hone::lean
