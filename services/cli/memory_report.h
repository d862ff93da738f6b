#pragma once

// What a model takes in memory and a run in work, for `hone model inspect` and `hone config
// validate`.

#include "libs/model/memory.h"
#include "proto/hone/v1/config.pb.h"
#include "proto/hone/v1/model.pb.h"
#include "services/cli/output.h"

namespace hone::cli {

// The defaults of the services.
MemoryUse DefaultMemoryUse();

v1::ModelMemory MemoryOf(const ModelConfig& config, const MemoryUse& use);
// A table: a row per kind of memory, a column per service.
void PrintMemory(Output& output, const v1::ModelMemory& memory);

// The arithmetic of a run file. `model` is null when its folder is not here: then there is no
// memory in the plan. The spec is valid and has its defaults.
v1::RunPlan PlanOf(const v1::RunSpec& spec, const ModelConfig* model);
void PrintPlan(Output& output, const v1::RunPlan& plan);

// "512 B", "1.5 KB", "16.1 GB": powers of 1000.
std::string Bytes(double bytes);

}  // namespace hone::cli
