#pragma once

// Device memory by the host's hand, where that is rare and large: checkpoints, publication of
// weights, initial values. Where the host sees the memory there is one piece, the memory itself;
// elsewhere pieces of at most kPieceBytes (a multiple of every element's size) travel through a
// buffer.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "libs/tensor/device.h"

namespace hone {

constexpr int64_t kPieceBytes = int64_t{8} << 20;

// Calls f(const char* piece, int64_t begin, int64_t bytes) in order until it fails. What wrote the
// memory must have been synchronized.
template <typename F>
absl::Status ReadPieces(const kernels::Table& table, const void* memory, int64_t bytes, F f) {
  const char* const from = static_cast<const char*>(memory);
  if (table.host_visible) return f(from, int64_t{0}, bytes);
  const Device on(table, 1);
  std::vector<char> piece(static_cast<size_t>(std::min(bytes, kPieceBytes)));
  absl::Status status;
  for (int64_t at = 0; at < bytes && status.ok(); at += kPieceBytes) {
    const int64_t n = std::min(kPieceBytes, bytes - at);
    on.Read(piece.data(), from + at, n);
    status = f(static_cast<const char*>(piece.data()), at, n);
  }
  return status;
}

// Calls f(char* piece, int64_t begin, int64_t bytes) in order until it fails, and each time puts
// what f filled in into its place. Every device sees it afterwards.
template <typename F>
absl::Status WritePieces(const kernels::Table& table, void* memory, int64_t bytes, F f) {
  char* const to = static_cast<char*>(memory);
  if (table.host_visible) return f(to, int64_t{0}, bytes);
  const Device on(table, 1);
  std::vector<char> piece(static_cast<size_t>(std::min(bytes, kPieceBytes)));
  absl::Status status;
  for (int64_t at = 0; at < bytes && status.ok(); at += kPieceBytes) {
    const int64_t n = std::min(kPieceBytes, bytes - at);
    status = f(piece.data(), at, n);
    if (status.ok()) on.Write(to + at, static_cast<const char*>(piece.data()), n);
  }
  return status;
}

}  // namespace hone
