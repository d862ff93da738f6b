#pragma once

// What a GPU would leave to chance: accesses of two agents, not both reads, that nothing orders. In
// shared memory the agents are warps and tensor copies, ordered by barriers (vector clocks); in
// device memory the blocks of a launch, which nothing orders, atomics apart. Also what products of
// warpgroups read before it is fenced for them. Each ends the process.

#include "tests/kernels/simulated/machine.h"

namespace hone::simulated {

void StartBlock(Block& block);

// Ordinary accesses of a lane, which copies of cp.async are, too.
void ReadShared(Warp& w, const Instruction& i, uint64_t address, int64_t bytes);
void WriteShared(Warp& w, const Instruction& i, uint64_t address, int64_t bytes, int lane);
// A tensor copy that the warp begins; its clock, which who waits for it learns.
uint32_t WriteSharedByCopy(Warp& w, const Instruction& i, uint64_t address, int64_t bytes);
// Products read these 2 bytes: is it known to them what was written?
void CheckFenced(const Warp& w, const Instruction& i, uint64_t address);

void ReadDevice(const Warp& w, const Instruction& i, uint64_t address, int64_t bytes);
void WriteDevice(const Warp& w, const Instruction& i, uint64_t address, int64_t bytes);

}  // namespace hone::simulated
