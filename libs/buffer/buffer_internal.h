#pragma once

// For the files of Buffer only.

#include "libs/buffer/buffer.h"

namespace hone {

// Tells the topics when the call is over. Declared before the lock, so that the lock is gone by
// then.
struct Buffer::Announce {
  explicit Announce(const Buffer& b) : buffer(b) {}
  ~Announce() {
    if (topics != 0 && buffer.changed_) buffer.changed_(topics);
  }
  const Buffer& buffer;
  Topics topics = 0;
};

}  // namespace hone
