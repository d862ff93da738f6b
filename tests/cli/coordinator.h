#pragma once

// A coordinator in this process, and the command line against it.

#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "libs/buffer/buffer.h"
#include "libs/rpc/server.h"
#include "services/cli/cli.h"
#include "services/coordinator/coordinator_service.h"
#include "services/coordinator/prompt_set_service.h"
#include "services/coordinator/run_service.h"
#include "tests/testing/test.h"

namespace hone::testing {

class TestCoordinator {
 public:
  TestCoordinator();
  ~TestCoordinator();
  std::string address() const;
  Buffer& buffer() { return *buffer_; }

 private:
  TempDir dir_;
  std::unique_ptr<Buffer> buffer_;
  LongPolls polls_;
  std::unique_ptr<CoordinatorService> coordinator_;
  std::unique_ptr<RunService> runs_;
  std::unique_ptr<PromptSetService> prompt_sets_;
  std::unique_ptr<rpc::Server> server_;
};

// What `hone <arguments>` did.
struct Outcome {
  int code;
  std::string out;
  std::string err;
};
Outcome Hone(const std::vector<std::string>& arguments);

// `file` in `dir`, with `text`; returns its path.
std::string WriteText(const TempDir& dir, const std::string& file, const std::string& text);

}  // namespace hone::testing
