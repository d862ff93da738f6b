#pragma once

// What both ends of a connection must agree on.

namespace hone::rpc {

// An idle connection is pinged this often, and given up when the answer takes longer than the
// second number: a peer whose machine died is noticed within a minute although no packet says so.
inline constexpr int kKeepaliveMs = 30'000;
inline constexpr int kKeepaliveTimeoutMs = 15'000;
// A server closes the connection of a client that pings more often. Must be below kKeepaliveMs.
inline constexpr int kMinPingIntervalMs = 10'000;

// Room for error details that other languages' defaults (8 KiB) would refuse.
inline constexpr int kMaxMetadataBytes = 64 * 1024;

}  // namespace hone::rpc
