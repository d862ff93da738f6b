#pragma once

// What others do to start a program, for comparison.

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace hone {

// Runs a program to its end, without its output; the bench ends when it fails.
inline void Spawn(std::vector<std::string> argv) {
  std::vector<char*> arguments;
  for (std::string& a : argv) arguments.push_back(a.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  int status = 1;
  if (posix_spawn(&pid, argv[0].c_str(), &actions, nullptr, arguments.data(), ::environ) == 0)
    waitpid(pid, &status, 0);
  posix_spawn_file_actions_destroy(&actions);
  if (status != 0) {
    std::printf("%s failed\n", argv[0].c_str());
    std::exit(1);
  }
}

// The path of a program; empty: it is not there.
inline std::string InPath(const std::string& program) {
  const char* path = std::getenv("PATH");
  for (absl::string_view folder : absl::StrSplit(path == nullptr ? "" : path, ':'))
    if (std::string file = absl::StrCat(folder, "/", program); access(file.c_str(), X_OK) == 0)
      return file;
  return "";
}

// Arguments before those of a program.
inline std::vector<std::string> Bubblewrap() {
  return {
      "bwrap",   "--unshare-all", "--die-with-parent", "--ro-bind", "/usr",   "/usr",   "--symlink",
      "usr/lib", "/lib",          "--symlink",         "usr/lib64", "/lib64", "--proc", "/proc",
      "--dev",   "/dev",          "--tmpfs",           "/tmp"};
}

}  // namespace hone
