#include "libs/sandbox/runner/huge_pages.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <utility>

// Of Python's C API, which is there when this is loaded into an interpreter.
extern "C" {
struct PyObjectArenaAllocator {
  void* context;
  void* (*allocate)(void* context, size_t size);
  void (*free)(void* context, void* memory, size_t size);
};
__attribute__((weak, visibility("default"))) void PyObject_SetArenaAllocator(
    PyObjectArenaAllocator* allocator);
}

namespace hone::sandbox {
namespace {
constexpr uintptr_t kPage = 4096;
constexpr uintptr_t kHugePage = uintptr_t{2} << 20;
constexpr int kCollapse = 25;  // MADV_COLLAPSE, since Linux 6.1

constexpr uintptr_t Down(uintptr_t address, uintptr_t unit) {
  return address & ~(unit - 1);
}
constexpr uintptr_t Up(uintptr_t address, uintptr_t unit) {
  return Down(address + unit - 1, unit);
}

struct Range {
  uintptr_t begin = 0;
  uintptr_t end = 0;
  size_t size() const { return end - begin; }
};

void* Pointer(uintptr_t address) {
  return reinterpret_cast<void*>(address);
}

uintptr_t Map(size_t size, int protection) {
  void* mapped =
      mmap(nullptr, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return mapped == MAP_FAILED ? 0 : reinterpret_cast<uintptr_t>(mapped);
}

// Arenas of small objects lie side by side here while there is room, then wherever the kernel
// likes.
Range arenas;
uintptr_t arenas_used = 0;
uintptr_t heap = 0;  // where malloc begins

void* AllocateArena(void*, size_t size) {
  if (arenas.end - arenas_used < size) return Pointer(Map(size, PROT_READ | PROT_WRITE));
  return Pointer(std::exchange(arenas_used, arenas_used + size));
}

void FreeArena(void*, void* arena, size_t size) {
  munmap(arena, size);
}

// The program comes first. Linkers put what is not written to before what is.
int FindText(dl_phdr_info* program, size_t, void* result) {
  auto& text = *static_cast<Range*>(result);
  for (int i = 0; i < program->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = program->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD) continue;
    if ((segment.p_flags & PF_W) != 0) break;
    const uintptr_t begin = Down(program->dlpi_addr + segment.p_vaddr, kPage);
    if (text.end == 0) text.begin = begin;
    if (text.end != 0 && begin != text.end) break;  // a hole has nothing to copy
    text.end = Up(program->dlpi_addr + segment.p_vaddr + segment.p_memsz, kPage);
  }
  return 1;  // none but the first
}

void MoveText() {
  Range text;
  dl_iterate_phdr(FindText, &text);
  if (text.size() < kHugePage) return;
  const size_t room = text.size() + kHugePage;
  const uintptr_t space = Map(room, PROT_NONE);
  if (space == 0) return;
  // As far from the border of a huge page as the original is: then entries move as they are.
  const uintptr_t copy = space + ((text.begin - space) & (kHugePage - 1));
  const uintptr_t first = Up(copy, kHugePage), last = Down(copy + text.size(), kHugePage);
  if (mprotect(Pointer(copy), text.size(), PROT_READ | PROT_WRITE) == 0 &&
      madvise(Pointer(copy), text.size(), MADV_HUGEPAGE) == 0) {
    std::memcpy(Pointer(copy), Pointer(text.begin), text.size());
    // In small pages it would cost more than it saves.
    if (first < last && madvise(Pointer(first), last - first, kCollapse) == 0 &&
        mprotect(Pointer(copy), text.size(), PROT_READ | PROT_EXEC) == 0)
      mremap(Pointer(copy), text.size(), text.size(), MREMAP_MAYMOVE | MREMAP_FIXED,
             Pointer(text.begin));
  }
  munmap(Pointer(space), room);  // what is left of it
}
}  // namespace

void PlaceHeap() {
  if (PyObject_SetArenaAllocator == nullptr) return;
  constexpr size_t kMost = size_t{16} << 20;
  const uintptr_t space = Map(kMost + kHugePage, PROT_READ | PROT_WRITE);
  if (space == 0) return;
  arenas_used = Up(space, kHugePage);
  arenas = {arenas_used, arenas_used + kMost};
  madvise(Pointer(arenas.begin), kMost, MADV_HUGEPAGE);
  PyObjectArenaAllocator allocator = {nullptr, AllocateArena, FreeArena};
  PyObject_SetArenaAllocator(&allocator);

  const auto end = reinterpret_cast<uintptr_t>(sbrk(0));
  heap = Up(end, kHugePage);
  sbrk(static_cast<intptr_t>(heap - end));
}

void UseHugePages() {
  if (arenas.size() == 0) return;
  // Where nobody has written yet, each fork would get a whole huge page, cleared, at its first
  // touch.
  const uintptr_t end_of_used = Up(arenas_used, kHugePage);
  munmap(Pointer(end_of_used), arenas.end - end_of_used);
  arenas.end = end_of_used;
  for (uintptr_t at = arenas.begin; at < arenas.end; at += kHugePage) {
    auto* byte = static_cast<volatile char*>(Pointer(at));
    *byte = *byte;
  }
  const auto end = reinterpret_cast<uintptr_t>(sbrk(0));
  if (end >= heap + kHugePage) madvise(Pointer(heap), Down(end - heap, kHugePage), kCollapse);
  MoveText();
}

}  // namespace hone::sandbox
