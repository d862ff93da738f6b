#pragma once

#include "libs/buffer/buffer.h"
#include "proto/hone/v1/prompt.grpc.pb.h"

namespace hone {

// prompt.proto over a Buffer, which outlives the service and its server.
class PromptSetService final : public v1::PromptSetService::CallbackService {
 public:
  explicit PromptSetService(Buffer& buffer) : buffer_(buffer) {}

  grpc::ServerUnaryReactor* CreatePromptSet(grpc::CallbackServerContext* context,
                                            const v1::CreatePromptSetRequest* request,
                                            v1::CreatePromptSetResponse* response) override;
  grpc::ServerReadReactor<v1::UploadPromptsRequest>* UploadPrompts(
      grpc::CallbackServerContext* context, v1::UploadPromptsResponse* response) override;
  grpc::ServerUnaryReactor* SealPromptSet(grpc::CallbackServerContext* context,
                                          const v1::SealPromptSetRequest* request,
                                          v1::SealPromptSetResponse* response) override;
  grpc::ServerUnaryReactor* GetPromptSet(grpc::CallbackServerContext* context,
                                         const v1::GetPromptSetRequest* request,
                                         v1::GetPromptSetResponse* response) override;
  grpc::ServerUnaryReactor* ListPromptSets(grpc::CallbackServerContext* context,
                                           const v1::ListPromptSetsRequest* request,
                                           v1::ListPromptSetsResponse* response) override;
  grpc::ServerUnaryReactor* DeletePromptSet(grpc::CallbackServerContext* context,
                                            const v1::DeletePromptSetRequest* request,
                                            v1::DeletePromptSetResponse* response) override;
  grpc::ServerWriteReactor<v1::ReadPromptsResponse>* ReadPrompts(
      grpc::CallbackServerContext* context, const v1::ReadPromptsRequest* request) override;

 private:
  Buffer& buffer_;
};

}  // namespace hone
