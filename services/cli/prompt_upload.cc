#include "services/cli/prompt_upload.h"

#include <algorithm>
#include <fstream>
#include <memory>
#include <thread>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/rpc/retry.h"
#include "libs/rpc/status.h"
#include "openssl/evp.h"

namespace hone::cli {
namespace {

constexpr size_t kMaxChunk = 1 << 20;  // as prompt.proto says

// Reads a file line by line and keeps the digest of all that was read. A missing newline at the end
// is added: the service takes whole lines.
class LineFile {
 public:
  explicit LineFile(const std::string& path)
      : in_(path, std::ios::binary), digest_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    EVP_DigestInit_ex(digest_.get(), EVP_sha256(), nullptr);
  }
  bool is_open() const { return in_.is_open(); }

  bool Next(std::string* line) {
    if (!std::getline(in_, *line)) return false;
    line->push_back('\n');
    EVP_DigestUpdate(digest_.get(), line->data(), line->size());
    offset_ += static_cast<int64_t>(line->size());
    ++number_;
    return true;
  }
  int64_t offset() const { return offset_; }  // bytes read
  int64_t number() const { return number_; }  // lines read
  std::string Sha256() {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_DigestFinal_ex(digest_.get(), bytes, &size);
    return absl::BytesToHexString({reinterpret_cast<char*>(bytes), size});
  }

 private:
  std::ifstream in_;
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest_;
  int64_t offset_ = 0;
  int64_t number_ = 0;
};

absl::StatusOr<std::string> Sha256Of(const std::string& path) {
  LineFile file(path);
  std::string line;
  while (file.Next(&line)) {
  }
  return file.Sha256();
}

// "line 17" of a violation to "file:17: what".
absl::Status WithPlaces(const absl::Status& status, const std::string& path) {
  std::vector<std::string> lines;
  for (const auto& [place, what] : rpc::FieldViolationsOf(status)) {
    absl::string_view number = place;
    if (absl::ConsumePrefix(&number, "line "))
      lines.push_back(absl::StrCat(path, ":", number, ": ", what));
  }
  if (lines.empty()) return status;
  return absl::Status(status.code(), absl::StrJoin(lines, "\n"));
}

// One attempt from what is committed.
absl::Status Send(Context& context, const Coordinator& c, const std::string& path,
                  const v1::PromptSet& set, int64_t file_bytes) {
  LineFile file(path);
  std::string line;
  while (file.offset() < set.committed_bytes()) {
    if (!file.Next(&line)) break;
  }
  if (file.offset() != set.committed_bytes())
    return absl::FailedPreconditionError(
        absl::StrCat("prompt set \"", set.id(), "\" has ", set.committed_bytes(),
                     " bytes of an earlier upload, which end in the middle of a line of ", path,
                     ": they came from another file"));
  bool more = file.Next(&line);
  if (!more) return absl::OkStatus();

  grpc::ClientContext call;
  // A megabyte per second must be possible.
  rpc::PrepareCall(call, context.timeout + std::chrono::seconds((file_bytes >> 20) + 1));
  v1::UploadPromptsResponse response;
  const auto writer = c.prompts->UploadPrompts(&call, &response);
  v1::UploadPromptsRequest request;
  request.set_prompt_set_id(set.id());
  request.set_offset(set.committed_bytes());
  while (more) {
    std::string chunk;
    while (more && chunk.size() + line.size() <= kMaxChunk) {
      chunk += line;
      more = file.Next(&line);
    }
    if (chunk.empty()) {
      call.TryCancel();
      (void)writer->Finish();
      return absl::InvalidArgumentError(absl::StrCat(path, ":", file.number(), ": the line has ",
                                                     line.size(), " bytes (expected at most ",
                                                     kMaxChunk, ")"));
    }
    request.set_lines(std::move(chunk));
    if (!writer->Write(request)) break;  // Finish says why
    request.Clear();
    context.output.Progress(absl::StrCat("uploading ", path, ": ", file.offset() >> 10, " of ",
                                         file_bytes >> 10, " KiB"));
  }
  writer->WritesDone();
  return WithPlaces(rpc::FromCall(writer->Finish(), c.peer), path);
}

}  // namespace

absl::StatusOr<v1::PromptSet> UploadPrompts(Context& context, const std::string& path,
                                            const std::string& id, bool seal) {
  int64_t bytes = 0;
  {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file.is_open()) return ErrnoStatus(errno, "cannot open", path);
    bytes = static_cast<int64_t>(file.tellg());
  }
  if (bytes <= 0) return absl::InvalidArgumentError(absl::StrCat(path, ": the file is empty"));
  HONE_ASSIGN_OR_RETURN(const std::string sha256, Sha256Of(path));
  HONE_ASSIGN_OR_RETURN(const Coordinator c, context.Connect());
  const TimePoint give_up = SystemClock::Get().Now() + 4 * context.timeout;
  v1::PromptSet set;
  while (true) {
    v1::CreatePromptSetRequest create;
    create.set_id(id);
    HONE_ASSIGN_OR_RETURN(v1::CreatePromptSetResponse created,
                          Call(context, c, *c.prompts, &PromptStub::CreatePromptSet, create));
    set = std::move(*created.mutable_prompt_set());
    if (set.sealed()) {
      if (set.sha256() == sha256) return set;
      return absl::AlreadyExistsError(
          absl::StrCat("prompt set \"", id, "\" is sealed and holds something else than ", path,
                       "; choose another id, or `hone prompts delete ", id, "`"));
    }
    if (set.committed_bytes() > 0)
      context.output.Note(
          absl::StrCat("going on after ", set.lines(), " lines of an earlier upload"));
    const absl::Status sent = Send(context, c, path, set, bytes);
    if (sent.ok()) break;
    if (!rpc::IsRetryable(sent) || SystemClock::Get().Now() > give_up) return sent;
    context.output.Note(absl::StrCat(sent.message(), "; trying again"));
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  if (!seal) {
    v1::GetPromptSetRequest get;
    get.set_id(id);
    HONE_ASSIGN_OR_RETURN(v1::GetPromptSetResponse got,
                          Call(context, c, *c.prompts, &PromptStub::GetPromptSet, get));
    return std::move(*got.mutable_prompt_set());
  }
  v1::SealPromptSetRequest request;
  request.set_id(id);
  request.set_sha256(sha256);
  HONE_ASSIGN_OR_RETURN(v1::SealPromptSetResponse sealed,
                        Call(context, c, *c.prompts, &PromptStub::SealPromptSet, request));
  return std::move(*sealed.mutable_prompt_set());
}

}  // namespace hone::cli
