#include "libs/buffer/prompt_sets.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/buffer/keys.h"
#include "libs/buffer/prompt_lines.h"
#include "libs/buffer/records.h"
#include "libs/config/validate.h"
#include "openssl/evp.h"

namespace hone {
namespace {

constexpr size_t kMaxChunk = 1 << 20;

// SHA-256 of bytes that come in pieces.
class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
  }
  void Add(absl::string_view bytes) {
    EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
  }
  std::string Hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_.get(), digest, &size);
    return absl::BytesToHexString({reinterpret_cast<char*>(digest), size});
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

absl::StatusOr<int> PageSize(int32_t requested) {
  if (requested < 0)
    return absl::InvalidArgumentError(absl::StrCat("page_size ", requested, " is negative"));
  return requested == 0 ? 100 : std::min(requested, 1000);
}

absl::StatusOr<v1::PromptSet> PromptSets::Get(const std::string& id) const {
  HONE_RETURN_IF_ERROR(CheckId("prompt set id", id));
  v1::PromptSet set;
  absl::Status got = store_.Get(keys::PromptSet(id), &set);
  if (absl::IsNotFound(got)) return absl::NotFoundError(absl::StrCat("no prompt set \"", id, "\""));
  HONE_RETURN_IF_ERROR(got);
  return set;
}

absl::StatusOr<v1::PromptSet> PromptSets::Create(const std::string& id) {
  absl::StatusOr<v1::PromptSet> old = Get(id);
  if (old.ok() || !absl::IsNotFound(old.status())) return old;
  v1::PromptSet set;
  set.set_id(id);
  *set.mutable_create_time() = ToTimestamp(clock_.WallNow());
  WriteBatch batch;
  batch.Put(keys::PromptSet(id), set);
  HONE_RETURN_IF_ERROR(store_.Write(batch));
  return set;
}

absl::StatusOr<v1::PromptSet> PromptSets::Append(const std::string& id, int64_t offset,
                                                 absl::string_view lines) {
  HONE_ASSIGN_OR_RETURN(v1::PromptSet set, Get(id));
  if (set.sealed())
    return absl::FailedPreconditionError(absl::StrCat("prompt set \"", id, "\" is sealed"));
  if (offset != set.committed_bytes())
    return absl::OutOfRangeError(absl::StrCat("upload to \"", id, "\" starts at byte ", offset,
                                              ", committed are ", set.committed_bytes()));
  if (lines.empty()) return set;
  if (lines.size() > kMaxChunk)
    return absl::InvalidArgumentError(
        absl::StrCat("a chunk of ", lines.size(), " bytes, at most ", kMaxChunk, " are taken"));
  if (lines.back() != '\n')
    return absl::InvalidArgumentError(
        "the chunk does not end with a newline: whole lines are expected");
  ParsedLines parsed = ParsePromptLines(lines, set.lines() + 1);
  WriteBatch batch;
  std::vector<std::string> ids;
  for (PromptLine& p : parsed.prompts) {
    const std::string key = keys::PromptId(id, p.prompt.id());
    HONE_ASSIGN_OR_RETURN(const bool taken, store_.Has(key));
    if (taken)
      parsed.errors.push_back(
          {p.line, absl::StrCat("id \"", p.prompt.id(), "\" was used by an earlier line")});
    ids.push_back(key);
    batch.PutBytes(key, "");
    batch.Put(keys::Prompt(id, set.prompts()), p.prompt);
    set.set_prompts(set.prompts() + 1);
  }
  std::sort(ids.begin(), ids.end());
  if (auto twice = std::adjacent_find(ids.begin(), ids.end()); twice != ids.end())
    for (const PromptLine& p : parsed.prompts)
      if (keys::PromptId(id, p.prompt.id()) == *twice)
        parsed.errors.push_back(
            {p.line, absl::StrCat("id \"", p.prompt.id(), "\" is used by two lines")});
  if (!parsed.errors.empty()) {
    std::vector<FieldViolation> violations;
    for (const LineError& e : parsed.errors)
      if (violations.size() < 20) violations.push_back({absl::StrCat("line ", e.line), e.message});
    return ToStatus(violations);
  }
  // The bytes are kept until the set is sealed: a digest cannot be carried over a restart half
  // done.
  batch.PutBytes(keys::RawBytes(id, offset), lines);
  set.set_lines(set.lines() + parsed.lines);
  set.set_committed_bytes(offset + static_cast<int64_t>(lines.size()));
  batch.Put(keys::PromptSet(id), set);
  HONE_RETURN_IF_ERROR(store_.Write(batch));
  return set;
}

absl::StatusOr<v1::PromptSet> PromptSets::Seal(const std::string& id, const std::string& sha256) {
  HONE_ASSIGN_OR_RETURN(v1::PromptSet set, Get(id));
  WriteBatch batch;
  if (!set.sealed()) {
    if (set.prompts() == 0)
      return absl::FailedPreconditionError(absl::StrCat("prompt set \"", id, "\" has no prompts"));
    Sha256 digest;
    HONE_RETURN_IF_ERROR(
        store_.Scan(keys::RawBytes(id), "", [&](absl::string_view, absl::string_view bytes) {
          digest.Add(bytes);
          return true;
        }));
    set.set_sha256(digest.Hex());
    set.set_sealed(true);
    batch.Put(keys::PromptSet(id), set);
    batch.DeletePrefix(keys::RawBytes(id));
  }
  if (!sha256.empty() && absl::AsciiStrToLower(sha256) != set.sha256())
    return absl::DataLossError(
        absl::StrCat("prompt set \"", id, "\" has SHA-256 ", set.sha256(), ", expected ", sha256));
  HONE_RETURN_IF_ERROR(store_.Write(batch));
  return set;
}

absl::StatusOr<v1::ListPromptSetsResponse> PromptSets::List(
    const v1::ListPromptSetsRequest& request) const {
  HONE_ASSIGN_OR_RETURN(const int limit, PageSize(request.page_size()));
  v1::ListPromptSetsResponse response;
  absl::Status parsed;
  const std::string from =
      request.page_token().empty() ? "" : keys::PromptSet(request.page_token());
  HONE_RETURN_IF_ERROR(
      store_.Scan(keys::PromptSets(), from, [&](absl::string_view key, absl::string_view value) {
        v1::PromptSet set;
        parsed = Parse(key, value, &set);
        if (!parsed.ok()) return false;
        if (response.prompt_sets_size() == limit) {
          response.set_next_page_token(set.id());
          return false;
        }
        *response.add_prompt_sets() = std::move(set);
        return true;
      }));
  HONE_RETURN_IF_ERROR(parsed);
  return response;
}

absl::Status PromptSets::Delete(const std::string& id) {
  HONE_RETURN_IF_ERROR(Get(id).status());
  WriteBatch batch;
  batch.Delete(keys::PromptSet(id));
  batch.DeletePrefix(keys::Prompts(id));
  batch.DeletePrefix(keys::PromptIds(id));
  batch.DeletePrefix(keys::RawBytes(id));
  return store_.Write(batch);
}

absl::Status PromptSets::Read(const std::string& id, int64_t start, int64_t limit,
                              const std::function<bool(v1::Prompt)>& visit) const {
  if (start < 0 || limit < 0)
    return absl::InvalidArgumentError(
        absl::StrCat("start ", start, " and limit ", limit, " must not be negative"));
  HONE_RETURN_IF_ERROR(Get(id).status());
  absl::Status parsed;
  int64_t left = limit == 0 ? INT64_MAX : limit;
  HONE_RETURN_IF_ERROR(store_.Scan(keys::Prompts(id), keys::Prompt(id, start),
                                   [&](absl::string_view key, absl::string_view value) {
                                     v1::Prompt p;
                                     parsed = Parse(key, value, &p);
                                     return parsed.ok() && visit(std::move(p)) && --left > 0;
                                   }));
  return parsed;
}

absl::StatusOr<v1::Prompt> PromptSets::Prompt(const std::string& id, int64_t index) const {
  v1::Prompt prompt;
  HONE_RETURN_IF_ERROR(store_.Get(keys::Prompt(id, index), &prompt));
  return prompt;
}

}  // namespace hone
