#include "tests/cli/coordinator.h"

#include <fstream>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"

namespace hone::testing {

TestCoordinator::TestCoordinator() {
  BufferOptions options;
  options.path = dir_.path() + "/store";
  options.fsync = false;
  absl::StatusOr<std::unique_ptr<Buffer>> buffer = Buffer::Open(options);
  HONE_CHECK(buffer.ok()) << buffer.status().ToString();
  buffer_ = *std::move(buffer);
  buffer_->OnChange([this](Topics topics) { polls_.Notify(topics); });
  coordinator_ = std::make_unique<CoordinatorService>(*buffer_, polls_);
  runs_ = std::make_unique<RunService>(*buffer_, polls_, "test");
  prompt_sets_ = std::make_unique<PromptSetService>(*buffer_);
  rpc::ServerOptions server;
  server.listen = "127.0.0.1:0";
  absl::StatusOr<std::unique_ptr<rpc::Server>> started =
      rpc::Server::Start(server, {coordinator_.get(), runs_.get(), prompt_sets_.get()});
  HONE_CHECK(started.ok()) << started.status().ToString();
  server_ = *std::move(started);
}

TestCoordinator::~TestCoordinator() {
  polls_.Stop();
  server_->Shutdown(std::chrono::seconds(1));
}

std::string TestCoordinator::address() const {
  return absl::StrCat("127.0.0.1:", server_->port());
}

Outcome Hone(const std::vector<std::string>& arguments) {
  std::ostringstream out, err;
  cli::Output output(out, err, /*terminal=*/false);
  const int code = cli::Main(arguments, output);
  return {code, out.str(), err.str()};
}

std::string WriteText(const TempDir& dir, const std::string& file, const std::string& text) {
  const std::string path = dir.path() + "/" + file;
  std::ofstream(path) << text;
  return path;
}

}  // namespace hone::testing
