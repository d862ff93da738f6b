#pragma once

// Remembers the ids of short pieces: words repeat, and merging them again is most of the cost of
// encoding. A table of fixed size in which a new piece takes the place of an old one; readers take
// no lock. Thread-safe.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "absl/strings/string_view.h"

namespace hone {

class PieceCache {
 public:
  static constexpr size_t kMaxPieceBytes = 23;
  static constexpr size_t kMaxIds = 8;

  PieceCache() : slots_(new Slot[kSlots]) {}

  // Appends the ids of `piece` and returns true when it is known.
  bool Find(absl::string_view piece, std::vector<int32_t>* ids) const {
    if (piece.size() > kMaxPieceBytes) return false;
    const Key key(piece);
    const Slot& slot = slots_[key.Hash() % kSlots];
    // A slot that changed while it was read, which its odd or new version tells, is not used. The
    // loads are ordered, so that the second look at the version is the last.
    const uint64_t version = slot.version.load(std::memory_order_acquire);
    if (version == 0 || version % 2 != 0) return false;
    std::array<uint64_t, kWords> words;
    for (size_t i = 0; i < kWords; ++i) words[i] = slot.words[i].load(std::memory_order_acquire);
    if (slot.version.load(std::memory_order_relaxed) != version) return false;
    if (std::memcmp(words.data(), key.words.data(), sizeof(key.words)) != 0) return false;
    std::array<int32_t, kMaxIds> found;
    std::memcpy(found.data(), &words[kKeyWords], sizeof(found));
    size_t n = 0;
    while (n < kMaxIds && found[n] >= 0) ++n;
    ids->insert(ids->end(), found.begin(), found.begin() + n);
    return true;
  }

  // Forgets another piece for this one; nothing when it is too long or has too many ids.
  void Insert(absl::string_view piece, const int32_t* ids, size_t n) {
    if (piece.size() > kMaxPieceBytes || n > kMaxIds) return;
    const Key key(piece);
    std::array<int32_t, kMaxIds> all;
    all.fill(-1);
    std::copy(ids, ids + n, all.begin());
    std::array<uint64_t, kWords> words;
    std::memcpy(words.data(), key.words.data(), sizeof(key.words));
    std::memcpy(&words[kKeyWords], all.data(), sizeof(all));
    Slot& slot = slots_[key.Hash() % kSlots];
    uint64_t version = slot.version.load(std::memory_order_relaxed);
    // Somebody else writes here: let them.
    if (version % 2 != 0 ||
        !slot.version.compare_exchange_strong(version, version + 1, std::memory_order_acquire))
      return;
    for (size_t i = 0; i < kWords; ++i) slot.words[i].store(words[i], std::memory_order_release);
    slot.version.store(version + 2, std::memory_order_release);
  }

 private:
  static constexpr size_t kSlots = size_t{1} << 15;  // 2 MiB
  static constexpr size_t kKeyWords = 3;
  static constexpr size_t kWords = 7;

  struct alignas(64) Slot {
    std::atomic<uint64_t> version{0};  // odd while written, 0: empty
    std::array<std::atomic<uint64_t>, kWords> words{};
  };

  // The bytes and, in the last one, how many they are.
  struct Key {
    explicit Key(absl::string_view piece) {
      words[kKeyWords - 1] = uint64_t{piece.size()} << 56;
      std::memcpy(words.data(), piece.data(), piece.size());
    }
    uint64_t Hash() const {
      const auto mix = [](uint64_t a, uint64_t b) {
        a *= b;
        return a ^ a >> 32;
      };
      return mix(mix(words[0] ^ 0x9E3779B97F4A7C15, words[1] ^ 0xC2B2AE3D27D4EB4F),
                 words[2] ^ 0x165667B19E3779F9);
    }
    std::array<uint64_t, kKeyWords> words{};
  };

  std::unique_ptr<Slot[]> slots_;
};

}  // namespace hone
