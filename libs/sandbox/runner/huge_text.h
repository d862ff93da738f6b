#pragma once

namespace hone::sandbox {

// Copies what the program file of this process maps without writing to it (text, constants) into
// anonymous memory at the same addresses, in huge pages where the kernel gives them. A fork has
// pages of files to find again, one fault for every sixteen, and to give back at its end; of these
// it inherits one entry for every 2 MiB. Does nothing where it does not work. For a process with one
// thread, from code that is not in the program file.
void MoveTextToHugePages();

}  // namespace hone::sandbox
