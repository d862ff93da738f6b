#pragma once

#include "kernels/kernels.h"

namespace hone::testing {

// The CPU's kernels on memory that only they can reach, as a GPU's is: pages of device memory are
// readable and writable while a kernel or copy of this table runs, and at no other time, so that
// whatever else touches them dies of SIGSEGV. Memory is poisoned when it is allocated. A kernel
// that is given memory of the host refuses its work, and so does a copy that takes one for the
// other. What is computed has the bits of kernels::Cpu().
//
// Thread-safe, as tables are; what one thread touches while another runs a kernel goes unnoticed.
const kernels::Table& GuardedTable();

}  // namespace hone::testing
