#pragma once

#include <cstdint>

#include "kernels/kernels.h"

namespace hone::testing {

// The CPU's kernels on a device whose memory is counted, and which copies what the host has, as a
// GPU does. One for the whole process.
const kernels::Table& MeteredTable();

// Bytes that are allocated of its memory now, and the most since ForgetPeak.
int64_t HeldBytes();
int64_t PeakBytes();
void ForgetPeak();
// How much there is; no end of it before. What is beyond is not given.
void SetDeviceBytes(int64_t bytes);

}  // namespace hone::testing
