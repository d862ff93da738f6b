// What no op case covers: the sort by expert, the team of threads, refusals.

#include <atomic>
#include <numeric>
#include <string>
#include <thread>

#include "kernels/cpu/team.h"
#include "tests/kernels/case.h"
#include "tests/kernels/tables.h"
#include "tests/testing/test.h"

namespace hone::kernels {
namespace {

TEST_CASE("permute sorts choices by expert and keeps their order", "[kernels]") {
  const Table& table = *GENERATE(from_range(testing::Tables()));
  INFO(table.name);
  const int64_t n = GENERATE(0, 57, 3000), k = 3, e = 9;
  testing::SharedVector<int32_t> experts(n * k);
  for (int64_t i = 0; i < n * k; ++i)
    experts[i] = static_cast<int32_t>((i * 5 + i / 7) % (e - 1));  // e - 1: none
  testing::SharedVector<int32_t> offsets(e + 1, -1), token_of(n * k, -1), row_of(n * k, -1);
  const PermuteArgs a{.experts = experts.data(),
                      .offsets = offsets.data(),
                      .token_of = token_of.data(),
                      .row_of = row_of.data(),
                      .n = n,
                      .k = k,
                      .e = e};
  REQUIRE(table.permute(a, nullptr) == nullptr);
  testing::Synchronize();
  std::vector<int32_t> order(n * k);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t x, int32_t y) { return experts[x] < experts[y]; });
  for (int64_t r = 0; r < n * k; ++r) {
    CHECK(row_of[order[r]] == r);
    CHECK(token_of[r] == order[r] / k);
  }
  for (int64_t i = 0; i <= e; ++i)
    CHECK(offsets[i] ==
          std::count_if(experts.begin(), experts.end(), [&](int32_t x) { return x < i; }));
  if (&table != &Cpu() || n == 0) return;  // on a device a broken caller ends the program
  experts[4] = static_cast<int32_t>(e);
  CHECK(table.permute(a, nullptr) != nullptr);
}

TEST_CASE("copy moves rows of any width and distance and nothing between them", "[kernels]") {
  const Table& table = *GENERATE(from_range(testing::Tables()));
  INFO(table.name);
  // Words of 16, 4, 2 bytes and single ones, by where rows begin, their width and their distances.
  struct Shape {
    int64_t rows, bytes, from_stride, to_stride, from_at, to_at;
  };
  for (const Shape& s : std::vector<Shape>{{1, 37, 0, 0, 3, 5},
                                           {2, 1, 1, 1, 0, 0},
                                           {5, 128, 1152, 128, 0, 16},
                                           {300, 48, 64, 80, 16, 0},
                                           {7, 48, 64, 80, 4, 0},
                                           {9, 12, 20, 12, 0, 8},
                                           {3, 16, 34, 16, 0, 0},
                                           {6, 33, 40, 35, 1, 2},
                                           {2, 6000, 6016, 6000, 0, 0},
                                           {0, 16, 16, 16, 0, 0},
                                           {4, 0, 16, 16, 0, 0}}) {
    INFO(s.rows << " rows of " << s.bytes << " bytes");
    testing::SharedVector<uint8_t> from(s.from_at + s.rows * s.from_stride + s.bytes);
    testing::SharedVector<uint8_t> to(s.to_at + s.rows * s.to_stride + s.bytes, 255);
    for (size_t i = 0; i < from.size(); ++i) from[i] = static_cast<uint8_t>(i * 31 % 251);
    std::vector<uint8_t> want(to.begin(), to.end());
    for (int64_t row = 0; row < s.rows; ++row)
      std::copy_n(from.begin() + s.from_at + row * s.from_stride, s.bytes,
                  want.begin() + s.to_at + row * s.to_stride);
    REQUIRE(table.copy({.from = from.data() + s.from_at,
                        .to = to.data() + s.to_at,
                        .row_bytes = s.bytes,
                        .rows = s.rows,
                        .from_stride = s.from_stride,
                        .to_stride = s.to_stride},
                       nullptr) == nullptr);
    testing::Synchronize();
    CHECK(std::equal(to.begin(), to.end(), want.begin()));
  }
}

TEST_CASE("a device says how much memory is free, the host does not", "[kernels]") {
  const Table& table = *GENERATE(from_range(testing::Tables()));
  INFO(table.name);
  REQUIRE((table.free_memory != nullptr) == (&table != &Cpu()));
  if (table.free_memory == nullptr) return;
  int64_t bytes = 0;
  REQUIRE(table.free_memory(&bytes) == nullptr);
  CHECK(bytes > int64_t{1} << 28);
  CHECK(bytes < int64_t{1} << 42);
}

TEST_CASE("recorded work is done again, with what memory holds by then", "[kernels]") {
  const Table& table = *GENERATE(from_range(testing::Tables()));
  INFO(table.name);
  const bool records = table.record != nullptr;
  CHECK(records ==
        (table.recorded != nullptr && table.replay != nullptr && table.forget != nullptr));
  CHECK(records == (&table != &Cpu()));
  if (!records) return;
  const int64_t n = 1000;
  Stream stream = nullptr;
  REQUIRE(table.open({}, &stream) == nullptr);
  testing::SharedVector<float> x(n), y(n), copy(n), zero(n, 1);
  const auto set = [&](float value) {
    std::fill(x.begin(), x.end(), value);
    std::fill(y.begin(), y.end(), 1.0f);
    std::fill(zero.begin(), zero.end(), 1.0f);
  };
  set(3);
  // A kernel's code may be loaded by its first launch, which a recording would refuse.
  REQUIRE(table.axpby({.x = x.data(), .y = copy.data(), .n = n, .a = 0, .b = 0}, stream) ==
          nullptr);
  REQUIRE(table.synchronize(stream) == nullptr);
  REQUIRE(table.record(stream) == nullptr);
  REQUIRE(table.axpby({.x = x.data(), .y = y.data(), .n = n, .a = 2, .b = 10}, stream) == nullptr);
  REQUIRE(table.copy({.from = y.data(), .to = copy.data(), .row_bytes = n * 4}, stream) == nullptr);
  REQUIRE(table.axpby({.x = y.data(), .y = y.data(), .n = n, .a = 0, .b = 1}, stream) == nullptr);
  REQUIRE(table.zero({.to = zero.data(), .bytes = n * 4}, stream) == nullptr);
  Recording recording = nullptr;
  REQUIRE(table.recorded(stream, &recording) == nullptr);
  REQUIRE(table.synchronize(stream) == nullptr);
  CHECK(y[0] == 1);  // kept, not done
  CHECK(zero[0] == 1);
  for (float value : {3.0f, 5.0f, 5.0f}) {
    set(value);
    REQUIRE(table.replay(recording, stream) == nullptr);
    REQUIRE(table.synchronize(stream) == nullptr);
    for (int64_t i = 0; i < n; ++i) {
      CHECK(copy[i] == 2 * value + 10);
      CHECK(zero[i] == 0);
    }
  }
  table.forget(recording);
  table.forget(nullptr);
  table.close(stream);
}

TEST_CASE("a failure is reported once, by the call that failed", "[kernels]") {
  if (testing::DeviceTable() == nullptr) HONE_SKIP("neither a GPU nor nvcc");
  const Table& table = *testing::DeviceTable();
  INFO(table.name);
  Stream stream = nullptr;
  REQUIRE(table.open({}, &stream) == nullptr);
  Recording recording = nullptr;
  const Error error = table.recorded(stream, &recording);  // nothing was begun
  REQUIRE(error != nullptr);
  CHECK(std::string(error).find("cudaStreamEndCapture") == 0);
  testing::SharedVector<float> x(8, 3), y(8, 1);
  CHECK(table.axpby({.x = x.data(), .y = y.data(), .n = 8, .a = 2, .b = 1}, stream) == nullptr);
  CHECK(table.synchronize(stream) == nullptr);
  CHECK(y[7] == 7);
  table.close(stream);
}

TEST_CASE("kernels refuse what they cannot do, in words", "[kernels]") {
  std::vector<float> f(64);
  std::vector<int32_t> i(64);
  CHECK(std::string(Cpu().route({.logits = f.data(),
                                 .scores = f.data(),
                                 .experts = i.data(),
                                 .weights = f.data(),
                                 .n = 1,
                                 .e = 2,
                                 .k = 3,
                                 .scoring = Scoring::kSigmoid,
                                 .normalize = true},
                                nullptr))
            .find("route") == 0);
  CHECK(std::string(Cpu().route({.logits = f.data(),
                                 .scores = f.data(),
                                 .experts = i.data(),
                                 .weights = f.data(),
                                 .n = 1,
                                 .e = 8,
                                 .k = 3,
                                 .groups = 4,
                                 .top_groups = 1,
                                 .scoring = Scoring::kSigmoid,
                                 .normalize = true},
                                nullptr))
            .find("route") == 0);
  CHECK(std::string(Cpu().rope({.x = f.data(),
                                .out = f.data(),
                                .table = f.data(),
                                .positions = i.data(),
                                .n = 1,
                                .heads = 1,
                                .d = 3,
                                .ldx = 3,
                                .head_x = 3,
                                .ldo = 3,
                                .head_o = 3,
                                .interleaved = true},
                               nullptr))
            .find("rope") == 0);
  const std::vector<int32_t> two{0, 2}, one{0, 1};
  CHECK(std::string(Cpu().attention({.q = f.data(),
                                     .k = f.data(),
                                     .v = f.data(),
                                     .out = f.data(),
                                     .q_start = two.data(),
                                     .kv_start = one.data(),
                                     .kv_rows = i.data(),
                                     .sequences = 1,
                                     .heads = 1,
                                     .kv_heads = 1,
                                     .d = 4,
                                     .dv = 4,
                                     .ldq = 4,
                                     .ldk = 4,
                                     .ldv = 4,
                                     .head_v = 4,
                                     .scale = 1},
                                    nullptr))
            .find("attention") == 0);
  if (!Cpu().has_bf16()) {
    WARN("SKIPPED: bf16 products, this machine has neither AMX nor AVX512-BF16");
    CHECK(std::string(Cpu().gemm({.a = f.data(),
                                  .b = f.data(),
                                  .c = f.data(),
                                  .m = 1,
                                  .n = 1,
                                  .k = 1,
                                  .lda = 1,
                                  .ldb = 1,
                                  .ldc = 1,
                                  .dtype = DType::kBF16},
                                 nullptr))
              .find("gemm") == 0);
  }
}

TEST_CASE("a key that a query does not see cannot reach it, not even as NaN", "[kernels]") {
  const int64_t rows = 70, d = 8;
  std::vector<float> q(rows * d, 0.5f), k(rows * d, 0.25f), v(rows * d, 1.0f), out(rows * d),
      lse(rows);
  for (int64_t c = 0; c < d; ++c) k[60 * d + c] = v[60 * d + c] = std::nanf("");
  const std::vector<int32_t> start{0, rows};
  std::vector<int32_t> keys(rows);
  std::iota(keys.begin(), keys.end(), 0);
  REQUIRE(Cpu().attention({.q = q.data(),
                           .k = k.data(),
                           .v = v.data(),
                           .out = out.data(),
                           .lse = lse.data(),
                           .q_start = start.data(),
                           .kv_start = start.data(),
                           .kv_rows = keys.data(),
                           .sequences = 1,
                           .heads = 1,
                           .kv_heads = 1,
                           .d = d,
                           .dv = d,
                           .ldq = d,
                           .ldk = d,
                           .ldv = d,
                           .head_v = d,
                           .scale = 1},
                          nullptr) == nullptr);
  for (int64_t i = 0; i < rows; ++i) CHECK(std::isnan(out[i * d]) == (i >= 60));
}

TEST_CASE("a team runs every index exactly once, whatever the loops and threads", "[kernels]") {
  const int threads = GENERATE(1, 2, 3, 8);
  cpu::Team team(threads);
  for (int64_t round = 0; round < 400; ++round) {
    const int64_t n = 1 + round % 37;
    std::vector<int> seen(n, 0);  // parts do not overlap, so this is no race
    cpu::ParallelFor(&team, n, 1 + round % 3, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++seen[i];
    });
    CHECK(std::count(seen.begin(), seen.end(), 1) == n);
    // Long enough for the members to fall asleep.
    if (round % 100 == 99) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

TEST_CASE("teams come and go, also without work", "[kernels]") {
  std::atomic<int> sum{0};
  for (int i = 0; i < 20; ++i) {
    cpu::Team team(1 + i % 5);
    if (i % 2 == 0)
      cpu::ParallelFor(&team, 10, 1,
                       [&](int64_t begin, int64_t end) { sum += static_cast<int>(end - begin); });
  }
  CHECK(sum == 100);
}

}  // namespace
}  // namespace hone::kernels
