#pragma once

// System calls as a forker needs them: retried when interrupted, with descriptors in messages.

#include <sys/types.h>

#include <cstddef>

namespace hone::sandbox {

// As read and write, but all of it; false at the end or on an error.
bool ReadAll(int fd, void* data, size_t size);
bool WriteAll(int fd, const void* data, size_t size);

// One message with `count` descriptors. False on an error.
bool SendMessage(int socket, const void* data, size_t size, const int* fds, int count);
// The size of the message; 0 at the end, -1 on an error. `count` holds the room, then what came.
// `sender`, where the socket passes credentials: its pid as this process sees it.
ssize_t ReceiveMessage(int socket, void* data, size_t size, int* fds, int* count,
                       pid_t* sender = nullptr);

// Makes `fds[i]` the descriptor i of this process for all i, and closes all others. -1: none.
void ArrangeDescriptors(const int* fds, int count);

// This process gets `signal` when its parent ends, or ends now if that has happened.
void DieWithParent(int signal);

}  // namespace hone::sandbox
