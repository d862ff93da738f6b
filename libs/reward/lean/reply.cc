#include "libs/reward/lean/reply.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/json/strict_json.h"

namespace hone::lean {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 512;  // infotrees nest
constexpr size_t kMaxMessages = 100'000;

bool IsBlank(absl::string_view line) {
  return std::all_of(line.begin(), line.end(), [](char c) { return absl::ascii_isspace(c); });
}

// Reads fields of one object and remembers the first that is wrong.
class Fields {
 public:
  Fields(const json& object, std::string where) : object_(object), where_(std::move(where)) {}

  // The field, or nullptr where it is absent or null.
  const json* Find(const char* name) const {
    const auto it = object_.find(name);
    return it == object_.end() || it->is_null() ? nullptr : &*it;
  }
  void Fail(const char* name, absl::string_view expected) {
    if (status_.ok())
      status_ =
          absl::InvalidArgumentError(absl::StrCat(where_, ".", name, ": expected ", expected));
  }
  int64_t Integer(const char* name, const json& value) {
    if (value.is_number_unsigned() && value.get<uint64_t>() <= uint64_t{1} << 53)
      return static_cast<int64_t>(value.get<uint64_t>());
    Fail(name, "an integer from 0");
    return 0;
  }
  std::string String(const char* name, const json& value) {
    if (value.is_string()) return value.get_ref<const std::string&>();
    Fail(name, "a string");
    return "";
  }
  const absl::Status& status() const { return status_; }

 private:
  const json& object_;
  const std::string where_;
  absl::Status status_;
};

absl::StatusOr<Message> ReadMessage(const json& value, const std::string& where) {
  if (!value.is_object()) return absl::InvalidArgumentError(absl::StrCat(where, ": not an object"));
  Fields fields(value, where);
  Message message;
  const json* severity = fields.Find("severity");
  const std::string name = severity != nullptr ? fields.String("severity", *severity) : "";
  if (name == "error") {
    message.severity = Message::Severity::kError;
  } else if (name == "warning") {
    message.severity = Message::Severity::kWarning;
  } else if (name != "info" && name != "trace") {
    fields.Fail("severity", "error, warning, info or trace");
  }
  const json* data = fields.Find("data");
  if (data == nullptr) {
    fields.Fail("data", "a string");
  } else {
    message.data = fields.String("data", *data);
  }
  const json* pos = fields.Find("pos");
  if (pos == nullptr || !pos->is_object()) {
    fields.Fail("pos", "an object");
  } else {
    const auto coordinate = [&](const char* key) {
      const auto it = pos->find(key);
      if (it != pos->end()) return fields.Integer("pos", *it);
      fields.Fail("pos", "line and column");
      return int64_t{0};
    };
    message.line = coordinate("line");
    message.column = coordinate("column");
  }
  HONE_RETURN_IF_ERROR(fields.status());
  return message;
}

absl::StatusOr<Reply> ReadReply(const json& object, const std::string& where) {
  Fields fields(object, where);
  Reply reply;
  if (const json* env = fields.Find("env")) reply.env = fields.Integer("env", *env);
  if (const json* error = fields.Find("message")) reply.error = fields.String("message", *error);
  if (const json* sorries = fields.Find("sorries")) {
    if (!sorries->is_array()) fields.Fail("sorries", "a list");
    reply.sorries = static_cast<int64_t>(sorries->size());
  }
  if (const json* time = fields.Find("time")) {
    if (!time->is_number())
      fields.Fail("time", "a number");
    else
      reply.seconds = time->get<double>();
  }
  if (const json* messages = fields.Find("messages")) {
    if (!messages->is_array() || messages->size() > kMaxMessages) {
      fields.Fail("messages", absl::StrCat("a list of at most ", kMaxMessages));
    } else {
      for (size_t i = 0; i < messages->size(); ++i) {
        HONE_ASSIGN_OR_RETURN(
            Message message,
            ReadMessage((*messages)[i], absl::StrCat(where, ".messages[", i, "]")));
        reply.messages.push_back(std::move(message));
      }
    }
  }
  HONE_RETURN_IF_ERROR(fields.status());
  return reply;
}

absl::StatusOr<RemoteResult> ReadResult(const json& value, const std::string& where) {
  if (!value.is_object()) return absl::InvalidArgumentError(absl::StrCat(where, ": not an object"));
  Fields fields(value, where);
  RemoteResult result;
  const json* id = fields.Find("custom_id");
  if (id == nullptr) id = fields.Find("id");
  if (id == nullptr) {
    fields.Fail("custom_id", "a string");
  } else {
    result.id = fields.String("custom_id", *id);
  }
  if (const json* error = fields.Find("error")) result.error = fields.String("error", *error);
  if (const json* response = fields.Find("response")) {
    if (!response->is_object()) {
      fields.Fail("response", "an object");
    } else {
      HONE_ASSIGN_OR_RETURN(result.reply, ReadReply(*response, where + ".response"));
    }
  }
  HONE_RETURN_IF_ERROR(fields.status());
  if (result.error.has_value() == result.reply.has_value())
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": expected either an error or a response"));
  return result;
}

}  // namespace

absl::Status FrameReader::Feed(absl::string_view bytes) {
  if (overflow_) return absl::OutOfRangeError("a frame was too long");
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    const absl::string_view piece =
        bytes.substr(0, end == absl::string_view::npos ? bytes.size() : end + 1);
    bytes.remove_prefix(piece.size());
    if (static_cast<int64_t>(frame_.size() + piece.size()) > limit_) {
      overflow_ = true;
      return absl::OutOfRangeError(absl::StrCat("a reply of more than ", limit_, " bytes"));
    }
    frame_.append(piece.data(), piece.size());
    if (end == absl::string_view::npos) break;
    if (IsBlank(absl::string_view(frame_).substr(line_start_))) {
      frame_.resize(line_start_);
      if (!frame_.empty()) frames_.push_back(std::exchange(frame_, std::string()));
      frame_.clear();
    }
    line_start_ = frame_.size();
  }
  return absl::OkStatus();
}

std::optional<std::string> FrameReader::Next() {
  if (frames_.empty()) return std::nullopt;
  std::string frame = std::move(frames_.front());
  frames_.pop_front();
  return frame;
}

absl::StatusOr<Reply> ParseReply(absl::string_view frame, absl::string_view what) {
  HONE_ASSIGN_OR_RETURN(const json object, ParseJsonObject(frame, what, kMaxDepth));
  return ReadReply(object, std::string(what));
}

absl::StatusOr<std::vector<RemoteResult>> ParseRemoteResults(absl::string_view body,
                                                             absl::string_view what) {
  HONE_ASSIGN_OR_RETURN(const json object, ParseJsonObject(body, what, kMaxDepth));
  const auto results = object.find("results");
  if (results == object.end() || !results->is_array())
    return absl::InvalidArgumentError(absl::StrCat(what, ".results: expected a list"));
  std::vector<RemoteResult> all;
  for (size_t i = 0; i < results->size(); ++i) {
    HONE_ASSIGN_OR_RETURN(RemoteResult result,
                          ReadResult((*results)[i], absl::StrCat(what, ".results[", i, "]")));
    all.push_back(std::move(result));
  }
  return all;
}

}  // namespace hone::lean
