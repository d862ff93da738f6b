#pragma once

// A kernel as the simulator runs it: the PTX that nvcc made, read once.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace hone::simulated {

struct Warp;
struct Instruction;
// Does an instruction for the lanes of `mask`.
using Operation = void (*)(Warp&, const Instruction&, uint32_t mask);

// Where a register lives: predicates are one word of lanes each, all others one element per lane.
enum class File : uint8_t { kNone, kWord, kLong, kPredicate };

struct Register {
  File file = File::kNone;  // kNone: "_", nobody wants the result
  int index = -1;
  bool negated = false;  // of a predicate
};

// What an instruction needs of its warp before it can be done.
enum class Kind : uint8_t {
  kPlain,
  kBranch,
  kReturn,
  kTrap,
  kWholeWarp,     // .aligned: all lanes together
  kNamedLanes,    // .sync with a mask
  kBarrier,       // bar.sync
  kBarrierOr,     // bar.red.or
  kWaitForPhase,  // mbarrier.try_wait
};

struct Instruction {
  Kind kind = Kind::kPlain;
  int guard = -1;  // predicate, with which the instruction begins: @p
  bool guard_negated = false;
  Operation operation = nullptr;
  std::vector<Register> operands;  // destinations first; an address is its register
  std::vector<Register> lists[4];  // {...}, in order
  int64_t offset = 0;              // of the address
  int64_t number = 0;              // a literal operand, or the width of a product
  int lanes = -1;                  // which operand is the mask of kNamedLanes
  int target = -1;                 // of a branch
  int line = 0;
  std::string text;
};

// A register that has a value when the kernel starts. Literals are such, so that every operand is a
// register.
struct Initial {
  enum Source {
    kNumber,
    kTid,
    kNtid = kTid + 3,
    kCtaid = kNtid + 3,
    kNctaid = kCtaid + 3,
    kLane = kNctaid + 3,
    kDynamicShared
  };
  Register to;
  int source = kNumber;  // kTid + 1: %tid.y, and so on
  uint64_t number = 0;
};

struct Parameter {
  int64_t offset, bytes;
};

struct Kernel {
  std::string name;
  std::vector<Instruction> code;
  int words = 0, longs = 0, predicates = 0;  // registers of each file
  std::vector<Initial> initial;
  std::vector<Parameter> parameters;
  int64_t parameter_bytes = 0, static_shared_bytes = 0, local_bytes = 0;
  int max_threads = 0;  // launch bounds; 0: none
};

// Adds the kernels of a PTX text. What it does not know stops the process with a message.
void ReadPtx(const std::string& text, std::map<std::string, Kernel>& kernels);

// Finds what an instruction does from its name ("add", "s64") and operands, and completes it.
Operation FindOperation(Instruction& i, const std::vector<std::string>& name);

// Prints a message to stderr and aborts: what CUDA leaves undefined, or the simulator does not
// know.
[[noreturn]] void Stop(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Addresses: shared memory begins behind what the driver keeps; parameters have a window of their
// own among the generic addresses.
inline constexpr uint64_t kSharedBase = 1024, kParameterWindow = uint64_t{0x5000} << 32;

}  // namespace hone::simulated
