// hone: the command line. See README.md.

#include <unistd.h>

#include <iostream>
#include <string>
#include <vector>

#include "services/cli/cli.h"

int main(int argc, char** argv) {
  const bool terminal = isatty(STDERR_FILENO) != 0 && isatty(STDOUT_FILENO) != 0;
  hone::cli::Output output(std::cout, std::cerr, terminal);
  return hone::cli::Main(std::vector<std::string>(argv + 1, argv + argc), output);
}
