#include "libs/sandbox/runner/huge_text.h"

#include <link.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstring>

namespace hone::sandbox {
namespace {
constexpr uintptr_t kPage = 4096;
constexpr uintptr_t kHugePage = uintptr_t{2} << 20;

struct Range {
  uintptr_t begin = UINTPTR_MAX;
  uintptr_t end = 0;
};

// The program comes first. Linkers put what is not written to before what is.
int FindText(dl_phdr_info* program, size_t, void* result) {
  auto& text = *static_cast<Range*>(result);
  for (int i = 0; i < program->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = program->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD) continue;
    if ((segment.p_flags & PF_W) != 0) break;
    const uintptr_t begin = program->dlpi_addr + segment.p_vaddr;
    if (text.begin == UINTPTR_MAX) text.begin = begin & ~(kPage - 1);
    // A hole has nothing to copy.
    if (text.end != 0 && (begin & ~(kPage - 1)) != text.end) break;
    text.end = (begin + segment.p_memsz + kPage - 1) & ~(kPage - 1);
  }
  return 1;  // none but the first
}
}  // namespace

void MoveTextToHugePages() {
  Range text;
  dl_iterate_phdr(FindText, &text);
  if (text.end < text.begin + kHugePage) return;
  const size_t size = text.end - text.begin;
  const size_t room = size + kHugePage;
  void* mapped =
      mmap(nullptr, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return;
  // As far from the border of a huge page as the original is: then entries move as they are.
  const auto space = reinterpret_cast<uintptr_t>(mapped);
  void* copy = reinterpret_cast<void*>(space + ((text.begin - space) & (kHugePage - 1)));
  void* original = reinterpret_cast<void*>(text.begin);
  if (mprotect(copy, size, PROT_READ | PROT_WRITE) == 0 &&
      madvise(copy, size, MADV_HUGEPAGE) == 0) {
    std::memcpy(copy, original, size);
    if (mprotect(copy, size, PROT_READ | PROT_EXEC) == 0)
      mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, original);
  }
  munmap(mapped, room);  // what is left of it
}

}  // namespace hone::sandbox
