// Runs a program as another user in an emulated restricted pod, with a home and a temporary folder
// of its own, which are removed afterwards. Exits as the program does, or with 77 where that cannot
// be.
//
//   sandbox_pod PROGRAM [ARGUMENT...]

#include "tests/sandbox/pod.h"

#include <fcntl.h>
#include <sys/wait.h>

#include <filesystem>

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  constexpr uid_t kUser = 10001;
  std::string home = "/tmp/hone-pod-XXXXXX";
  if (geteuid() != 0 || mkdtemp(home.data()) == nullptr || chown(home.c_str(), kUser, kUser) != 0) {
    std::printf("only root can become another user\n");
    return 77;
  }
  // Opened here: the folders above it may be closed to the user.
  const int program = open(argv[1], O_RDONLY | O_CLOEXEC);
  const pid_t child = fork();
  if (child == 0) {
    setenv("HOME", home.c_str(), 1);
    setenv("TMPDIR", home.c_str(), 1);
    hone::sandbox::BecomeUser(kUser);
    hone::sandbox::EmulatePod();
    fexecve(program, argv + 1, environ);
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  std::filesystem::remove_all(home);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
