#pragma once

// Files inside the program: what is used always fits what was built. At namespace scope of a .cc:
//
//   HONE_EMBED(hone_my_text, HONE_MY_TEXT_PATH);    // CMake defines the path, quoted, and names
//   the
//                                                   // file in OBJECT_DEPENDS of the source
//   absl::string_view MyText() { return HONE_EMBEDDED(hone_my_text); }
//
// The name is a symbol of the whole program. A 0 byte follows the contents.

#include <cstddef>

#include "absl/strings/string_view.h"

#define HONE_EMBED(name, path)          \
  asm(".section .rodata\n"              \
      ".balign 16\n" #name              \
      "_begin:\n"                       \
      ".incbin \"" path "\"\n" #name    \
      "_end:\n"                         \
      ".byte 0\n"                       \
      ".previous\n");                   \
  extern "C" const char name##_begin[]; \
  extern "C" const char name##_end[]

#define HONE_EMBEDDED(name) \
  absl::string_view(name##_begin, static_cast<size_t>(name##_end - name##_begin))
