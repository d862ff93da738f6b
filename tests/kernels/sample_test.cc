// What sampling means: the noise, the filters, the reported numbers.

#include <algorithm>
#include <limits>
#include <numeric>

#include "kernels/philox.h"
#include "tests/kernels/case.h"
#include "tests/kernels/tables.h"
#include "tests/testing/test.h"

namespace hone::kernels::testing {
namespace {

// Rows of a batch, with room for what comes out.
struct Batch {
  Batch(const Table& where, int64_t rows, int64_t vocabulary)
      : table(where),
        n(rows),
        v(vocabulary),
        logits(n * v),
        temperature(n, 1.0f),
        top_p(n, 1.0f),
        logp(n),
        entropy(n),
        mass(n),
        top_k(n, 0),
        token(n, -1),
        greedy(n, 0),
        seed(n, 7),
        position(n, 0) {}

  void Draw() {
    const SampleArgs a{.logits = logits.data(),
                       .inv_temperature = temperature.data(),
                       .top_p = top_p.data(),
                       .top_k = top_k.data(),
                       .greedy = greedy.data(),
                       .seed = seed.data(),
                       .position = position.data(),
                       .token = token.data(),
                       .logp = logp.data(),
                       .entropy = entropy.data(),
                       .kept_mass = mass.data(),
                       .n = n,
                       .v = v,
                       .ldl = v};
    REQUIRE(table.sample(a, nullptr) == nullptr);
    Synchronize();
  }

  const Table& table;
  int64_t n, v;
  SharedVector<float> logits, temperature, top_p, logp, entropy, mass;
  SharedVector<int32_t> top_k, token;
  SharedVector<uint8_t> greedy;
  SharedVector<uint64_t> seed, position;
};

// Ids that the filters keep, by sorting, in float64.
std::vector<int32_t> Kept(const std::vector<double>& p, int32_t top_k, double top_p) {
  std::vector<int32_t> ids(p.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::stable_sort(ids.begin(), ids.end(), [&](int32_t a, int32_t b) { return p[a] > p[b]; });
  if (top_k > 0 && top_k < static_cast<int32_t>(ids.size())) ids.resize(top_k);
  double mass = 0, sum = 0;
  for (int32_t id : ids) mass += p[id];
  size_t count = 0;
  while (count < ids.size() && (count == 0 || sum < top_p * mass)) sum += p[ids[count++]];
  if (top_p < 1) ids.resize(count);
  return ids;
}

TEST_CASE("Philox gives the published words", "[kernels]") {
  const auto words = [](uint32_t k0, uint32_t k1, PhiloxBlock c) {
    const PhiloxBlock b = Philox(k0, k1, c);
    return std::vector<uint32_t>(b.word, b.word + 4);
  };
  CHECK(words(0, 0, {{0, 0, 0, 0}}) ==
        std::vector<uint32_t>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(words(~0u, ~0u, {{~0u, ~0u, ~0u, ~0u}}) ==
        std::vector<uint32_t>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(words(0xa4093822, 0x299f31d0, {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}) ==
        std::vector<uint32_t>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
  CHECK(UniformOf(0) > 0);
  CHECK(UniformOf(~0u) < 1);
}

TEST_CASE("sample draws the argmax of p / e over what top_k and top_p keep", "[kernels]") {
  const Table& table = *GENERATE(from_range(Tables()));
  INFO(table.name);
  // 9000: more ids than a CUDA block keeps on the chip.
  const int64_t v = GENERATE(1, 5, 120, 700, 9000);
  Batch b(table, v == 9000 ? 12 : 60, v);
  const Numbers x = Random(b.n * v, 5, 3);
  for (int64_t i = 0; i < b.n; ++i) {
    // Every third row of the long ones is so flat that thousands of ids are kept.
    const bool flat = v == 9000 && i % 3 == 1;
    for (int64_t j = 0; j < v; ++j)
      b.logits[i * v + j] = static_cast<float>(x[i * v + j] * (flat ? 0.0625 : 1));
    b.temperature[i] = 0.5f + static_cast<float>(i % 4) / 2;
    b.top_p[i] = i % 3 == 0 ? 1.0f : 0.3f + static_cast<float>(i % 7) / 10;
    b.top_k[i] = i % 2 == 0 ? 0 : static_cast<int32_t>(flat ? 6000 : 1 + i % 9);
    b.seed[i] = 1000003 * i + (static_cast<uint64_t>(i) << 40);
    b.position[i] = (uint64_t{1} << 32) * (i % 2) + i;
  }
  b.Draw();
  for (int64_t i = 0; i < b.n; ++i) {
    INFO("row " << i);
    std::vector<double> p(v);
    double max = -1e300, total = 0, kept_sum = 0;
    for (int64_t j = 0; j < v; ++j)
      max = std::max(max, double{b.logits[i * v + j]} * b.temperature[i]);
    for (int64_t j = 0; j < v; ++j)
      total += p[j] = std::exp(double{b.logits[i * v + j]} * b.temperature[i] - max);
    double best = 0, drawn = 0, entropy = 0;
    bool found = false;
    for (int32_t id : Kept(p, b.top_k[i], b.top_p[i])) {
      const double e = -std::log(double{UniformOf(SamplerWord(b.seed[i], b.position[i], id))});
      best = std::max(best, p[id] / e);
      kept_sum += p[id];
      if (id == b.token[i]) {
        found = true;
        drawn = p[id] / e;
      }
    }
    for (double q : p) entropy -= q / total * std::log(q / total);
    CHECK(found);
    CHECK(drawn >= best * (1 - 1e-5));
    CHECK(b.mass[i] == Approx(kept_sum / total).epsilon(1e-5));
    CHECK(b.logp[i] == Approx(std::log(p[b.token[i]] / total)).margin(1e-5));
    CHECK(b.entropy[i] == Approx(entropy).margin(1e-5));
  }
}

TEST_CASE("sample draws ids as often as their probability says", "[kernels]") {
  const std::vector<float> logits{0.0f, 1.0f, -1.0f, 2.0f, 0.5f};
  const Table& table = *GENERATE(from_range(Tables()));
  const int64_t draws = &table == SimulatedCuda() ? 8000 : 40000;  // simulation is slow
  const bool filtered = GENERATE(false, true);
  Batch b(table, draws, 5);
  for (int64_t i = 0; i < draws; ++i) {
    std::copy(logits.begin(), logits.end(), b.logits.begin() + i * 5);
    b.position[i] = i;
    if (filtered) b.top_k[i] = 3;
  }
  b.Draw();
  double total = 0, chi = 0;
  std::vector<double> p(5), count(5);
  for (int64_t j = 0; j < 5; ++j) p[j] = filtered && (j == 0 || j == 2) ? 0 : std::exp(logits[j]);
  for (double q : p) total += q;
  for (int32_t t : b.token) ++count[t];
  for (int64_t j = 0; j < 5; ++j) {
    const double expected = p[j] / total * draws;
    if (expected == 0) CHECK(count[j] == 0);
    if (expected > 0) chi += (count[j] - expected) * (count[j] - expected) / expected;
  }
  CHECK(chi < 23.5);  // four degrees of freedom: once in ten thousand seeds
}

TEST_CASE("greedy takes the lowest of equal ids, and forbidden ids are never drawn", "[kernels]") {
  const Table& table = *GENERATE(from_range(Tables()));
  INFO(table.name);
  Batch b(table, 300, 90);
  const float forbidden = -std::numeric_limits<float>::infinity();
  for (int64_t i = 0; i < b.n; ++i) {
    for (int64_t j = 0; j < b.v; ++j)
      b.logits[i * b.v + j] = j % 2 == 0 ? forbidden : static_cast<float>(j % 10);
    b.greedy[i] = i < 100;
    b.top_p[i] = i < 200 ? 1.0f : 0.95f;
    b.position[i] = i;
  }
  b.Draw();
  for (int64_t i = 0; i < b.n; ++i) {
    if (i < 100) CHECK(b.token[i] == 9);
    CHECK(b.token[i] % 2 == 1);
    CHECK(std::isfinite(b.logp[i]));
    CHECK(std::isfinite(b.entropy[i]));
  }
}

TEST_CASE("a row of NaN still gives an id of the vocabulary", "[kernels]") {
  const Table& table = *GENERATE(from_range(Tables()));
  INFO(table.name);
  Batch b(table, 3, 33);
  std::fill(b.logits.begin(), b.logits.end(), std::nanf(""));
  b.greedy[1] = 1;
  b.top_p[2] = 0.5f;
  b.Draw();
  for (int32_t t : b.token) CHECK((t >= 0 && t < 33));
}

TEST_CASE("the log-probability of a sampled id is, bit for bit, that of training", "[kernels]") {
  const Table& table = *GENERATE(from_range(Tables()));
  INFO(table.name);
  const int64_t v = GENERATE(3, 120, 1000);
  Batch b(table, 40, v);
  const Numbers x = Random(b.n * v, 8, 4);
  for (int64_t i = 0; i < b.n * v; ++i) b.logits[i] = static_cast<float>(x[i]);
  for (int64_t i = 0; i < b.n; ++i) {
    b.temperature[i] = 0.7f + static_cast<float>(i) / 40;
    b.position[i] = i;
    if (i % 2 == 0) b.top_p[i] = 0.8f;
  }
  b.Draw();
  SharedVector<float> logp(b.n), lse(b.n), entropy(b.n);
  const LogprobArgs a{.logits = b.logits.data(),
                      .targets = b.token.data(),
                      .inv_temperature = b.temperature.data(),
                      .logp = logp.data(),
                      .lse = lse.data(),
                      .entropy = entropy.data(),
                      .n = b.n,
                      .v = v,
                      .ldl = v};
  Stream team = nullptr;
  REQUIRE(table.open({.threads = 2}, &team) == nullptr);
  REQUIRE(table.logprob(a, team) == nullptr);
  Synchronize();
  table.close(team);
  CHECK(logp == b.logp);
  CHECK(entropy == b.entropy);
}

}  // namespace
}  // namespace hone::kernels::testing
