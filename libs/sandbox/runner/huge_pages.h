#pragma once

namespace hone::sandbox {

// The memory of an interpreter that is forked, in huge pages: a fork inherits one entry for each of
// them, where it copies an entry for each small page of data, finds pages of files again by faults,
// and gives all of them back at its end. That is a quarter of the time of a small program. What a
// fork writes to, it copies page by page as before. Nothing happens where the kernel has no huge
// pages to give.

// Before the interpreter allocates: what it allocates will be where huge pages can be.
void PlaceHeap();

// Before the first fork, in a process with one thread, by code that is not in its program file: the
// heap so far, and what the program file holds and nobody writes to (text, constants), which is
// copied to anonymous memory at the same addresses.
void UseHugePages();

}  // namespace hone::sandbox
