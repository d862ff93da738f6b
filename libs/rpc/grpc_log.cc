#include "libs/rpc/grpc_log.h"

#include "absl/strings/string_view.h"
#include "grpc/support/log.h"
#include "libs/base/log.h"

namespace hone::rpc {

void UseHoneLogInGrpc() {
  gpr_set_log_function([](gpr_log_func_args* args) {
    // gRPC calls errors what is often one refused connection; who must know gets a status.
    const LogLevel level = args->severity == GPR_LOG_SEVERITY_ERROR  ? LogLevel::kWarning
                           : args->severity == GPR_LOG_SEVERITY_INFO ? LogLevel::kInfo
                                                                     : LogLevel::kDebug;
    absl::string_view file(args->file);
    file = file.substr(file.rfind('/') + 1);
    Log(level, "grpc", {{"text", args->message}, {"file", file}, {"line", args->line}});
  });
}

}  // namespace hone::rpc
