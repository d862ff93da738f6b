#pragma once

#include <string>
#include <vector>

#include "services/cli/up/child.h"

namespace hone::cli {

// The GPUs that processes started from here would see, as CUDA_VISIBLE_DEVICES names them: the
// entries of that variable (`visible`; null: not set), else 0, 1, ... for those of this machine or
// container. Looks for the driver's files below `root` and does not call CUDA, which a process that
// forks must not use.
std::vector<std::string> VisibleGpus(const char* visible, const std::string& root = "");

// Of several GPUs the learner gets the first one and each worker the next, in turn. With one or
// none nothing is said to anybody.
void ShareGpus(const std::vector<std::string>& gpus, std::vector<ServicePlan>& plans);

}  // namespace hone::cli
