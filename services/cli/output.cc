#include "services/cli/output.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/util/json_util.h"
#include "libs/base/check.h"
#include "libs/rpc/status.h"

namespace hone::cli {
namespace {

bool LooksNumeric(const std::string& cell) {
  if (cell.empty() || cell == "-") return true;
  return std::all_of(cell.begin(), cell.end(), [](unsigned char c) {
    return std::isdigit(c) || c == '.' || c == ',' || c == '-' || c == '+' || c == 'e' || c == '%';
  });
}

// Columns on the screen of UTF-8 text without wide characters.
size_t Width(absl::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

void Output::ClearProgress() {
  if (progress_) err_ << "\r\x1b[K" << std::flush;
  progress_ = false;
}

void Output::Line(absl::string_view text) {
  ClearProgress();
  out_ << text << '\n' << std::flush;
}

void Output::Note(absl::string_view text) {
  ClearProgress();
  err_ << text << '\n' << std::flush;
}

void Output::Error(const absl::Status& status) {
  const rpc::FieldViolations violations = rpc::FieldViolationsOf(status);
  const std::string message(status.message());
  Note(
      absl::StrCat("error: ", message.empty() ? absl::StatusCodeToString(status.code()) : message));
  for (const auto& [path, what] : violations) {
    // Our own servers repeat them in the message.
    if (message.find(what) == std::string::npos) Note(absl::StrCat("  ", path, ": ", what));
  }
}

void Output::Progress(absl::string_view text) {
  if (!terminal_) return;
  err_ << "\r\x1b[K" << text << std::flush;
  progress_ = true;
}

void Output::Message(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = format == Format::kJson;
  options.always_print_primitive_fields = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  HONE_CHECK(status.ok()) << status.ToString();
  Line(absl::StripTrailingAsciiWhitespace(json));
}

void Table::Print(Output& output) const {
  std::vector<size_t> widths;
  std::vector<bool> right;
  for (size_t c = 0; c < header_.size(); ++c) {
    size_t width = Width(header_[c]);
    bool numeric = !rows_.empty();
    for (const auto& row : rows_) {
      width = std::max(width, Width(row[c]));
      numeric = numeric && LooksNumeric(row[c]);
    }
    widths.push_back(width);
    right.push_back(numeric);
  }
  const auto print = [&](const std::vector<std::string>& row) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) {
      const std::string pad(widths[c] - Width(row[c]), ' ');
      absl::StrAppend(&line, c > 0 ? "  " : "", right[c] ? pad : "", row[c], right[c] ? "" : pad);
    }
    output.Line(absl::StripTrailingAsciiWhitespace(line));
  };
  print(header_);
  for (const auto& row : rows_) print(row);
}

std::string Number(double value, int decimals) {
  if (std::isnan(value)) return "-";
  if (value != 0 && std::abs(value) < 0.5 * std::pow(10.0, -decimals))
    return absl::StrFormat("%.1e", value);
  return absl::StrFormat("%.*f", decimals, value);
}

std::string Grouped(int64_t value) {
  std::string digits = absl::StrCat(value);
  for (int64_t i = static_cast<int64_t>(digits.size()) - 3; i > (value < 0 ? 1 : 0); i -= 3)
    digits.insert(static_cast<size_t>(i), 1, ',');
  return digits;
}

std::string Elapsed(double seconds) {
  if (seconds < 60) return absl::StrFormat("%.1f s", seconds);
  const int64_t s = std::llround(seconds);
  if (s < 3600) return absl::StrFormat("%d:%02d min", s / 60, s % 60);
  return absl::StrFormat("%d:%02d:%02d h", s / 3600, s / 60 % 60, s % 60);
}

std::string Time(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0) return "-";
  const std::time_t t = static_cast<std::time_t>(time.seconds());
  std::tm parts{};
  gmtime_r(&t, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return text;
}

std::string EnumName(const google::protobuf::EnumDescriptor* type, int value) {
  const google::protobuf::EnumValueDescriptor* v = type->FindValueByNumber(value);
  if (v == nullptr) return absl::StrCat(value);
  // RUN_STATE_UNSPECIFIED is the value with number 0, so the prefix is what stands before its last
  // word.
  const std::string& zero = type->FindValueByNumber(0)->name();
  const size_t prefix = zero.size() - std::string("UNSPECIFIED").size();
  return absl::AsciiStrToLower(v->name().substr(std::min(prefix, v->name().size())));
}

std::string Printable(absl::string_view text) {
  std::string shown;
  for (const char c : text) {
    const unsigned char u = static_cast<unsigned char>(c);
    if ((u < 0x20 && c != '\n' && c != '\t') || u == 0x7f)
      absl::StrAppend(&shown, "\\x", absl::Hex(u, absl::kZeroPad2));
    else
      shown.push_back(c);
  }
  return shown;
}

}  // namespace hone::cli
