#pragma once

// The memory of the simulated device. The host cannot touch it by its addresses (a page fault, as
// on a machine with a GPU), and kernels can touch nothing else. Memory that is allocated is full of
// NaN; none is given out twice.

#include <cstdint>

namespace hone::simulated {

// managed: the host may use it, too.
void* AllocateDevice(uint64_t bytes, bool managed);
void FreeDevice(void* p);
uint64_t AllocatedBytes();
bool IsDevice(const void* p);
// What the host uses to reach `bytes` at a device address, all within one allocation; else the end
// of the process, which says that `what` wanted them.
uint8_t* DeviceBytes(uint64_t address, int64_t bytes, const char* what);

// Who has used memory (hazards.h), per 2 bytes from an address on.
struct Marks {
  uint32_t *writer, *reader;
};
Marks MarksOf(uint64_t address);

}  // namespace hone::simulated
