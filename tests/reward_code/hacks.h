#pragma once

// Programs that try to pass tests without solving them, and honest ones beside them.

#include <string>
#include <vector>

namespace hone::testing {

struct Program {
  std::string name;
  std::string source;
  bool violent = false;  // attacks other processes: only behind real isolation
};

// For PythonSort's problem: f(x) sorts a list of numbers.
std::vector<Program> PythonHacks();
std::vector<Program> PythonHonest();

// The same in C++: std::vector<long> f(std::vector<long> x).
std::vector<Program> CppHacks();
std::vector<Program> CppHonest();

}  // namespace hone::testing
