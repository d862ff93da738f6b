#pragma once

#include <sys/resource.h>

#include "libs/sandbox/runner/wire.h"

namespace hone::sandbox {

inline wire::Report ToReport(int gone, int status, const rusage& usage) {
  const auto ns = [](const timeval& t) { return t.tv_sec * 1000000000LL + t.tv_usec * 1000LL; };
  return {gone, status, ns(usage.ru_utime) + ns(usage.ru_stime), usage.ru_maxrss * 1024LL};
}

}  // namespace hone::sandbox
