#include "services/coordinator/prompt_set_service.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "services/coordinator/calls.h"

namespace hone {
namespace {

// Commits chunk after chunk as they come.
class Uploader final : public grpc::ServerReadReactor<v1::UploadPromptsRequest> {
 public:
  Uploader(Buffer& buffer, v1::UploadPromptsResponse* response)
      : buffer_(buffer), response_(response) {
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    absl::Status s = ok ? TakeChunk() : absl::OkStatus();
    if (!ok && first_) s = absl::InvalidArgumentError("the upload has no message");
    if (ok && s.ok()) return StartRead(&request_);
    buffer_.WhenSynced(
        [this, s](const absl::Status& synced) { Finish(rpc::ToGrpc(s.ok() ? synced : s)); });
  }
  void OnDone() override { delete this; }

 private:
  absl::Status TakeChunk() {
    if (first_) {
      id_ = request_.prompt_set_id();
      offset_ = request_.offset();
      first_ = false;
    } else if (!request_.prompt_set_id().empty() && request_.prompt_set_id() != id_) {
      return absl::InvalidArgumentError(absl::StrCat("the upload to \"", id_, "\" names \"",
                                                     request_.prompt_set_id(), "\" on its way"));
    }
    HONE_RETURN_IF_ERROR(Take(buffer_.AppendPrompts(id_, offset_, request_.lines()),
                              response_->mutable_prompt_set()));
    offset_ += static_cast<int64_t>(request_.lines().size());
    return absl::OkStatus();
  }

  Buffer& buffer_;
  v1::UploadPromptsResponse* const response_;
  v1::UploadPromptsRequest request_;
  bool first_ = true;
  std::string id_;
  int64_t offset_ = 0;
};

// Sends prompts in messages of about half a MiB.
class Reader final : public grpc::ServerWriteReactor<v1::ReadPromptsResponse> {
 public:
  Reader(Buffer& buffer, const v1::ReadPromptsRequest& request)
      : buffer_(buffer),
        id_(request.prompt_set_id()),
        next_(request.start()),
        left_(request.limit() == 0 ? INT64_MAX : request.limit()) {
    WriteNext();
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::CANCELLED);
    WriteNext();
  }
  void OnDone() override { delete this; }

 private:
  void WriteNext() {
    constexpr size_t kBytes = 512 << 10;
    response_.Clear();
    size_t bytes = 0;
    absl::Status s;
    if (left_ < 0) s = absl::InvalidArgumentError(absl::StrCat("limit ", left_, " is negative"));
    if (s.ok() && left_ > 0)
      s = buffer_.prompt_sets().Read(id_, next_, left_, [&](v1::Prompt prompt) {
        bytes += prompt.ByteSizeLong();
        *response_.add_prompts() = std::move(prompt);
        return bytes < kBytes;
      });
    if (!s.ok() || response_.prompts_size() == 0) return Finish(rpc::ToGrpc(s));
    next_ += response_.prompts_size();
    left_ -= response_.prompts_size();
    StartWrite(&response_);
  }

  Buffer& buffer_;
  const std::string id_;
  int64_t next_;
  int64_t left_;
  v1::ReadPromptsResponse response_;
};

}  // namespace

grpc::ServerUnaryReactor* PromptSetService::CreatePromptSet(
    grpc::CallbackServerContext* context, const v1::CreatePromptSetRequest* request,
    v1::CreatePromptSetResponse* response) {
  return AnswerNow(context, buffer_, [&] {
    return Take(buffer_.CreatePromptSet(request->id()), response->mutable_prompt_set());
  });
}

grpc::ServerReadReactor<v1::UploadPromptsRequest>* PromptSetService::UploadPrompts(
    grpc::CallbackServerContext*, v1::UploadPromptsResponse* response) {
  return new Uploader(buffer_, response);
}

grpc::ServerUnaryReactor* PromptSetService::SealPromptSet(grpc::CallbackServerContext* context,
                                                          const v1::SealPromptSetRequest* request,
                                                          v1::SealPromptSetResponse* response) {
  return AnswerNow(context, buffer_, [&] {
    return Take(buffer_.SealPromptSet(*request), response->mutable_prompt_set());
  });
}

grpc::ServerUnaryReactor* PromptSetService::GetPromptSet(grpc::CallbackServerContext* context,
                                                         const v1::GetPromptSetRequest* request,
                                                         v1::GetPromptSetResponse* response) {
  return AnswerNow(context, buffer_, [&] {
    return Take(buffer_.prompt_sets().Get(request->id()), response->mutable_prompt_set());
  });
}

grpc::ServerUnaryReactor* PromptSetService::ListPromptSets(grpc::CallbackServerContext* context,
                                                           const v1::ListPromptSetsRequest* request,
                                                           v1::ListPromptSetsResponse* response) {
  return AnswerNow(context, buffer_,
                   [&] { return Take(buffer_.prompt_sets().List(*request), response); });
}

grpc::ServerUnaryReactor* PromptSetService::DeletePromptSet(
    grpc::CallbackServerContext* context, const v1::DeletePromptSetRequest* request,
    v1::DeletePromptSetResponse*) {
  return AnswerNow(context, buffer_, [&] { return buffer_.DeletePromptSet(request->id()); });
}

grpc::ServerWriteReactor<v1::ReadPromptsResponse>* PromptSetService::ReadPrompts(
    grpc::CallbackServerContext*, const v1::ReadPromptsRequest* request) {
  return new Reader(buffer_, *request);
}

}  // namespace hone
