#pragma once

// The metrics of one process: a thin wrapper over prometheus-cpp that keeps its types out of
// everybody's headers and enforces the naming rules of README.md where a metric is made, not in a
// review.
//
//   Counter tokens = metrics.AddCounter("hone_rollout_tokens_total", "Tokens by kind.", {{"kind",
//   "prompt"}}); tokens.Increment(512);
//
// Make a metric once and keep the handle: Add* takes a lock and hashes labels, handles do neither.
// A name or label that breaks the rules is a bug and fails a HONE_CHECK. Everything here is
// thread-safe.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace hone {

// Label name -> value. Values must come from a small, fixed set: never an id of a prompt or a
// trajectory.
using Labels = std::map<std::string, std::string>;

enum class MetricKind { kCounter, kGauge, kHistogram };

// Handles are small and copyable. They must not outlive their Metrics, nor be used after Remove. A
// default one swallows what it is given, for code that runs without metrics.
class Counter {
 public:
  Counter() = default;
  void Increment(double by = 1);  // by >= 0
  double Value() const;

 private:
  friend class Metrics;
  explicit Counter(prometheus::Counter* counter) : counter_(counter) {}
  prometheus::Counter* counter_ = nullptr;
};

class Gauge {
 public:
  Gauge() = default;
  void Set(double value);
  void Increment(double by = 1);
  void Decrement(double by = 1);
  void SetToNow();  // Seconds since 1970, for ..._timestamp_seconds.
  double Value() const;

 private:
  friend class Metrics;
  explicit Gauge(prometheus::Gauge* gauge) : gauge_(gauge) {}
  prometheus::Gauge* gauge_ = nullptr;
};

class Histogram {
 public:
  Histogram() = default;
  void Observe(double value);

 private:
  friend class Metrics;
  explicit Histogram(prometheus::Histogram* histogram) : histogram_(histogram) {}
  prometheus::Histogram* histogram_ = nullptr;
};

// `count` upper bounds: start, start * factor, ... 1 ms to 65 s is ExponentialBuckets(0.001, 4, 9).
std::vector<double> ExponentialBuckets(double start, double factor, int count);
std::vector<double> LinearBuckets(double start, double width, int count);

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The metric of that name and those labels; made when it is new, the same one when it is not. All
  // calls for one name must agree in kind, help, label names and buckets.
  Counter AddCounter(absl::string_view name, absl::string_view help, const Labels& labels = {});
  Gauge AddGauge(absl::string_view name, absl::string_view help, const Labels& labels = {});
  // `bounds`: ascending upper bounds of the buckets, 1 to 20 of them; the last one, infinity, is
  // added.
  Histogram AddHistogram(absl::string_view name, absl::string_view help, std::vector<double> bounds,
                         const Labels& labels = {});

  // Ends a series, for labels that name something which has ended (a run).
  void Remove(Counter counter);
  void Remove(Gauge gauge);
  void Remove(Histogram histogram);

  // Values that are looked up when somebody scrapes: the length of a queue, the totals of a ledger.
  using Sample = std::pair<Labels, double>;
  using Source = std::function<std::vector<Sample>()>;
  // Keeps a source registered; its end waits for a scrape in progress, after which the source is
  // not called again. Must not outlive the Metrics.
  class Callback {
   public:
    Callback() = default;
    Callback(Callback&& other) noexcept;
    Callback& operator=(Callback&& other) noexcept;
    ~Callback();

   private:
    friend class Metrics;
    Callback(Metrics* metrics, int id) : metrics_(metrics), id_(id) {}
    Metrics* metrics_ = nullptr;
    int id_ = 0;
  };
  // `kind` is a counter or a gauge. Several callbacks may add to one name. `source` runs in the
  // scraping thread, one at a time, and must not call back into this object.
  [[nodiscard]] Callback AddCallback(MetricKind kind, absl::string_view name,
                                     absl::string_view help, Source source);
  // The same for one value without labels.
  [[nodiscard]] Callback AddCallback(MetricKind kind, absl::string_view name,
                                     absl::string_view help, std::function<double()> value);

  // Everything in Prometheus' text format 0.0.4, families and series in alphabetical order.
  std::string Render() const;

 private:
  struct State;
  void RemoveCallback(int id);
  std::unique_ptr<State> state_;
};

// INVALID_ARGUMENT with the rule that `name` breaks. The rules are those of README.md.
absl::Status CheckMetricName(MetricKind kind, absl::string_view name);
absl::Status CheckLabelName(absl::string_view name);

}  // namespace hone
