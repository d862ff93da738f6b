#include "libs/checkpoint/safetensors_header.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/status.h"
#include "libs/json/strict_json.h"

namespace hone {
namespace {

constexpr int kMaxDepth = 16;
constexpr size_t kMaxEntries = 2'000'000;

absl::Status Invalid(absl::string_view check, absl::string_view detail) {
  return absl::InvalidArgumentError(absl::StrCat(check, ": ", detail));
}

struct RawTensor {
  std::string name;
  StoredDType dtype = StoredDType::kU8;
  std::vector<uint64_t> shape;
  std::vector<uint64_t> offsets;
  bool has_dtype = false, has_shape = false, has_offsets = false;
};

// Receives the parser's events. Holds only what has been seen, so memory is bounded by the header's
// real length. Unknown fields of a tensor are skipped, as the reference implementation does.
class HeaderSax : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::vector<RawTensor> tensors;
  std::map<std::string, std::string> metadata;
  absl::Status status;

  bool null() override { return Scalar("null"); }
  bool boolean(bool) override { return Scalar("a boolean"); }
  bool number_integer(number_integer_t value) override {
    return Scalar(absl::StrCat("the number ", value));
  }
  bool number_float(number_float_t, const string_t& text) override {
    return Scalar(absl::StrCat("the number ", text));
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (skip_depth_ == 0 && depth_ == 3 && array_) {
      std::vector<uint64_t>& into =
          field_ == Field::kShape ? tensors.back().shape : tensors.back().offsets;
      if (field_ == Field::kShape && into.size() == kMaxTensorRank)
        return Fail(absl::StrCat("tensor '", tensors.back().name, "' has more than ",
                                 kMaxTensorRank, " dimensions"));
      if (field_ == Field::kOffsets && into.size() == 2)
        return Fail(
            absl::StrCat("tensor '", tensors.back().name, "' has more than 2 data_offsets"));
      into.push_back(value);
      return true;
    }
    return Scalar(absl::StrCat("the number ", value));
  }
  bool string(string_t& value) override {
    if (skip_depth_ == 0 && depth_ == 2) {
      if (in_metadata_) {
        metadata[key_] = value;
        return true;
      }
      if (field_ == Field::kDType) {
        absl::optional<StoredDType> dtype = StoredDTypeFromName(value);
        if (!dtype)
          return Fail(
              absl::StrCat("tensor '", tensors.back().name, "' has unknown dtype '", value, "'"));
        tensors.back().dtype = *dtype;
        tensors.back().has_dtype = true;
        return true;
      }
    }
    return Scalar(absl::StrCat("the string '", value, "'"));
  }
  bool binary(binary_t&) override { return Scalar("binary data"); }

  bool start_object(size_t) override { return Start(false); }
  bool start_array(size_t) override { return Start(true); }
  bool end_object() override {
    if (depth_ == 2 && skip_depth_ == 0 && !in_metadata_) {
      const RawTensor& t = tensors.back();
      if (!t.has_dtype || !t.has_shape || !t.has_offsets)
        return Fail(absl::StrCat("tensor '", t.name, "' lacks dtype, shape or data_offsets"));
      if (t.offsets.size() != 2)
        return Fail(absl::StrCat("tensor '", t.name, "' has ", t.offsets.size(),
                                 " data_offsets, expected 2"));
    }
    return End();
  }
  bool end_array() override { return End(); }

  bool key(string_t& value) override {
    if (skip_depth_ > 0) return true;
    if (depth_ == 1) {
      if (value.size() > kMaxTensorNameBytes)
        return Fail(absl::StrCat("a tensor name has ", value.size(), " bytes, the limit is ",
                                 kMaxTensorNameBytes));
      if (!names_.insert(value).second) return Duplicate(value);
      if (names_.size() > kMaxEntries)
        return Fail(absl::StrCat("more than ", kMaxEntries, " entries"));
      inner_.clear();
      in_metadata_ = value == "__metadata__";
      if (!in_metadata_) tensors.emplace_back().name = value;
      key_ = value;
      return true;
    }
    if (!inner_.insert(value).second) return Duplicate(absl::StrCat(key_of_entry(), ".", value));
    key_ = value;
    field_ = value == "dtype"          ? Field::kDType
             : value == "shape"        ? Field::kShape
             : value == "data_offsets" ? Field::kOffsets
                                       : Field::kOther;
    return true;
  }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception& e) override {
    return Fail(absl::StrCat("not JSON at byte ", position, ": ", e.what()));
  }

 private:
  enum class Field { kDType, kShape, kOffsets, kOther };

  std::string key_of_entry() const { return in_metadata_ ? "__metadata__" : tensors.back().name; }

  bool Fail(absl::string_view detail) {
    if (status.ok()) status = Invalid("InvalidHeaderDeserialization", detail);
    return false;
  }
  bool Duplicate(absl::string_view name) {
    status = Invalid("DuplicateKey", absl::StrCat("'", name, "' appears twice"));
    return false;
  }
  // A value that is no element of a shape, an offset, a dtype or metadata.
  bool Scalar(absl::string_view what) {
    if (skip_depth_ > 0) return true;
    if (depth_ == 2 && !in_metadata_ && field_ == Field::kOther) return true;
    if (depth_ == 0) return Fail(absl::StrCat("the header is ", what, ", expected an object"));
    if (depth_ == 1)
      return Fail(absl::StrCat("entry '", key_, "' is ", what, ", expected an object"));
    return Fail(absl::StrCat("'", key_of_entry(), ".", key_, "' has unexpected ", what));
  }
  bool Start(bool array) {
    if (depth_ == kMaxDepth) return Fail(absl::StrCat("nested deeper than ", kMaxDepth));
    if (skip_depth_ == 0) {
      if (depth_ <= 1 && array)
        return Fail(depth_ == 0
                        ? "the header is an array, expected an object"
                        : absl::StrCat("entry '", key_, "' is an array, expected an object"));
      if (depth_ == 2) {
        if (in_metadata_) return Fail(absl::StrCat("metadata '", key_, "' is not a string"));
        if (field_ == Field::kOther) {
          skip_depth_ = depth_ + 1;
        } else if (!array || field_ == Field::kDType) {
          return Fail(absl::StrCat("'", key_of_entry(), ".", key_, "' has an unexpected type"));
        } else {
          (field_ == Field::kShape ? tensors.back().has_shape : tensors.back().has_offsets) = true;
        }
      }
      if (depth_ == 3) return Fail(absl::StrCat("'", key_of_entry(), ".", key_, "' is nested"));
    }
    array_ = array;
    ++depth_;
    return true;
  }
  bool End() {
    if (skip_depth_ == depth_) skip_depth_ = 0;
    --depth_;
    array_ = false;
    return true;
  }

  int depth_ = 0;
  int skip_depth_ = 0;  // depth of the unknown field that is being skipped; 0: none
  bool array_ = false;
  bool in_metadata_ = false;
  Field field_ = Field::kOther;
  std::string key_;
  absl::flat_hash_set<std::string> names_;
  absl::flat_hash_set<std::string> inner_;
};

// Offsets and sizes: the tensors, sorted by begin, must tile the data exactly.
absl::StatusOr<std::vector<TensorEntry>> Layout(std::vector<RawTensor> raw, int64_t data_start,
                                                int64_t file_bytes) {
  std::sort(raw.begin(), raw.end(), [](const RawTensor& a, const RawTensor& b) {
    return std::make_pair(a.offsets[0], a.offsets[1]) < std::make_pair(b.offsets[0], b.offsets[1]);
  });
  std::vector<TensorEntry> entries;
  entries.reserve(raw.size());
  uint64_t previous = 0;
  for (RawTensor& t : raw) {
    const uint64_t begin = t.offsets[0], end = t.offsets[1];
    if (begin != previous || end < begin)
      return Invalid("InvalidOffset", absl::StrCat("tensor '", t.name, "' is at [", begin, ", ",
                                                   end, "), expected it to begin at ", previous));
    uint64_t count = 1;
    std::vector<int64_t> shape;
    for (uint64_t dim : t.shape) {
      if (dim > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) ||
          __builtin_mul_overflow(count, dim, &count))
        return Invalid("ValidationOverflow",
                       absl::StrCat("tensor '", t.name, "' has too many elements"));
      shape.push_back(static_cast<int64_t>(dim));
    }
    uint64_t bits;
    if (__builtin_mul_overflow(count, static_cast<uint64_t>(Bits(t.dtype)), &bits))
      return Invalid("ValidationOverflow", absl::StrCat("tensor '", t.name, "' has too many bits"));
    if (bits % 8 != 0)
      return Invalid("MisalignedSlice",
                     absl::StrCat("tensor '", t.name, "' ends inside a byte (", bits, " bits)"));
    if (bits / 8 != end - begin)
      return Invalid("TensorInvalidInfo", absl::StrCat("tensor '", t.name, "' has ", end - begin,
                                                       " bytes, its shape and dtype ",
                                                       Name(t.dtype), " need ", bits / 8));
    // Cannot wrap: whatever exceeds the file is refused below, before an entry is used.
    entries.push_back({std::move(t.name), t.dtype, std::move(shape),
                       static_cast<int64_t>(static_cast<uint64_t>(data_start) + begin),
                       static_cast<int64_t>(end - begin)});
    previous = end;
  }
  if (previous != static_cast<uint64_t>(file_bytes - data_start))
    return Invalid("MetadataIncompleteBuffer",
                   absl::StrCat("the tensors need ", previous, " bytes, the file has ",
                                file_bytes - data_start, " after its header"));
  return entries;
}

}  // namespace

absl::StatusOr<int64_t> CheckHeaderLength(absl::string_view prefix, int64_t file_bytes) {
  if (file_bytes < kSafetensorsPrefix || prefix.size() < static_cast<size_t>(kSafetensorsPrefix))
    return Invalid("HeaderTooSmall",
                   absl::StrCat("the file has ", file_bytes, " bytes, expected at least 8"));
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | static_cast<uint8_t>(prefix[i]);
  if (length > static_cast<uint64_t>(kMaxHeaderBytes))
    return Invalid("HeaderTooLarge", absl::StrCat("the header claims ", length,
                                                  " bytes, the limit is ", kMaxHeaderBytes));
  if (static_cast<int64_t>(length) > file_bytes - kSafetensorsPrefix)
    return Invalid("InvalidHeaderLength",
                   absl::StrCat("the header claims ", length, " bytes, the file has ",
                                file_bytes - kSafetensorsPrefix, " after the length"));
  return static_cast<int64_t>(length);
}

absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(absl::string_view text,
                                                         int64_t file_bytes) {
  if (!IsUtf8(text)) return Invalid("InvalidHeader", "the header is not UTF-8");
  if (absl::Status s = CheckJsonText(text); !s.ok())
    return Invalid("InvalidHeaderDeserialization", s.message());
  HeaderSax sax;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &sax)) {
    HONE_CHECK(!sax.status.ok()) << "the parser stopped without a reason";
    return sax.status;
  }
  SafetensorsHeader header;
  header.metadata = std::move(sax.metadata);
  HONE_ASSIGN_OR_RETURN(header.tensors,
                        Layout(std::move(sax.tensors),
                               kSafetensorsPrefix + static_cast<int64_t>(text.size()), file_bytes));
  return header;
}

std::string BuildSafetensorsHeader(const std::vector<TensorSpec>& tensors,
                                   const std::map<std::string, std::string>& metadata) {
  // Written by hand because nlohmann's ordered object searches linearly, and 100,000 tensors are
  // normal.
  const auto quote = [](const std::string& s) { return nlohmann::json(s).dump(); };
  std::string json = "{";
  if (!metadata.empty()) json += "\"__metadata__\":" + nlohmann::json(metadata).dump();
  int64_t offset = 0;
  for (const TensorSpec& t : tensors) {
    const absl::optional<int64_t> bytes = ByteCount(t.dtype, t.shape);
    HONE_CHECK(bytes.has_value()) << "unchecked shape of " << t.name;
    absl::StrAppend(&json, json.size() > 1 ? "," : "", quote(t.name), ":{\"dtype\":\"",
                    Name(t.dtype), "\",\"shape\":", nlohmann::json(t.shape).dump(),
                    ",\"data_offsets\":[", offset, ",", offset + *bytes, "]}");
    offset += *bytes;
  }
  json += "}";
  json.append((8 - json.size() % 8) % 8, ' ');
  std::string out(8, '\0');
  for (int i = 0; i < 8; ++i) out[i] = static_cast<char>(json.size() >> (8 * i) & 0xff);
  return out + json;
}

}  // namespace hone
