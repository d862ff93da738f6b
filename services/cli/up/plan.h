#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/scorers/scorers.h"
#include "services/cli/up/child.h"

namespace hone::cli {

// What `hone up` starts, on the loopback of this machine.
struct UpOptions {
  std::string dir = "hone-data";  // the store and the logs; made if absent
  int rollouts = 1;
  bool colocate = false;  // the first worker is in the learner's process
  int threads = 0;        // of each worker and the learner; 0: as many as there are cores
  int base_port = 50051;  // gRPC: coordinator, rollout-0, reward, learner, rollout-1, ...
  int admin_port = 0;  // probes and metrics in the same order; 0: 9101, or base_port + 100 if that
                       // is not the default
  std::string fsync = "on";
  ScorerResources scorers;  // of the reward service
};

// The first port of probes and metrics where none is given.
int AdminPortOf(int base_port);

// The services in the order in which they are to be started: who is asked comes before who asks.
// Programs are taken from beside this one, or from where the build puts them. NOT_FOUND names the
// one that is missing; ALREADY_EXISTS a port that is in use, and by which service it was wanted.
absl::StatusOr<std::vector<ServicePlan>> PlanServices(const UpOptions& options);

}  // namespace hone::cli
