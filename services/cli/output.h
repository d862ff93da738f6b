#pragma once

// What people and programs see: data on stdout, everything else on stderr.

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "google/protobuf/timestamp.pb.h"

namespace hone::cli {

enum class Format { kTable, kJson, kJsonLines };

// Not thread-safe.
class Output {
 public:
  // `terminal`: someone looks at `err` as it is written, so that a line may be written over.
  // `out` and `err` outlive this.
  Output(std::ostream& out, std::ostream& err, bool terminal)
      : out_(out), err_(err), terminal_(terminal) {}

  Format format = Format::kTable;
  bool machine() const { return format != Format::kTable; }
  bool terminal() const { return terminal_; }

  // One line of data.
  void Line(absl::string_view text);
  // One line for people.
  void Note(absl::string_view text);
  // "error: ..." with the server's field violations, one per line.
  void Error(const absl::Status& status);
  // Replaces what Progress wrote last. Nothing unless `err` is a terminal.
  void Progress(absl::string_view text);

  // proto3 JSON with fields of value zero: indented for kJson, one line for kJsonLines.
  void Message(const google::protobuf::Message& message);
  // A list: for kJson `list` as a whole, for kJsonLines each of `items` on its line.
  template <typename List, typename Items>
  void Messages(const List& list, const Items& items) {
    if (format == Format::kJson) return Message(list);
    for (const auto& item : items) Message(item);
  }

 private:
  void ClearProgress();

  std::ostream& out_;
  std::ostream& err_;
  const bool terminal_;
  bool progress_ = false;  // the cursor is behind a Progress text
};

// Columns as wide as their cells need. A column whose cells are all numbers is aligned right.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : header_(std::move(header)) {}
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.empty(); }
  void Print(Output& output) const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

// "0.844", "1.3e-05", "-" for NaN.
std::string Number(double value, int decimals = 3);
// "2,310"
std::string Grouped(int64_t value);
// "0.4 s", "1:05 min", "2:03:01 h"
std::string Elapsed(double seconds);
// "2026-01-31 09:00:00" in UTC; "-" when it is not set.
std::string Time(const google::protobuf::Timestamp& time);
// "running" of RUN_STATE_RUNNING: the value's name in lower case without the enum's own prefix.
std::string EnumName(const google::protobuf::EnumDescriptor* type, int value);
// Terminal control characters made visible: completions are a model's choice and must not move the
// cursor. Newlines and tabs stay.
std::string Printable(absl::string_view text);

}  // namespace hone::cli
