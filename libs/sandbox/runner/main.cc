// The forker of programs.

#include <unistd.h>

#include "libs/sandbox/runner/serve.h"

int main() {
  hone::sandbox::Serve();
  _exit(125);
}
