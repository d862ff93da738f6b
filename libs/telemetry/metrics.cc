#include "libs/telemetry/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <sstream>

#include "absl/strings/str_join.h"
#include "libs/base/check.h"
#include "libs/base/mutex.h"

namespace hone {
namespace {

constexpr const char* kKindNames[] = {"counter", "gauge", "histogram"};

prometheus::MetricType TypeOf(MetricKind kind) {
  return kind == MetricKind::kCounter ? prometheus::MetricType::Counter
         : kind == MetricKind::kGauge ? prometheus::MetricType::Gauge
                                      : prometheus::MetricType::Histogram;
}

// What the calls for one name have to agree on.
struct Family {
  MetricKind kind;
  std::string help;
  std::string label_names;
  bool has_labels = false;  // Known once a series was made; callbacks say it only when they run.
  std::vector<double> bounds;
  prometheus::Family<prometheus::Counter>* counters = nullptr;
  prometheus::Family<prometheus::Gauge>* gauges = nullptr;
  prometheus::Family<prometheus::Histogram>* histograms = nullptr;
};

struct CallbackEntry {
  MetricKind kind;
  std::string name;
  std::string help;
  Metrics::Source source;
};

prometheus::ClientMetric ToClient(MetricKind kind, const Metrics::Sample& sample) {
  prometheus::ClientMetric metric;
  for (const auto& [name, value] : sample.first) metric.label.push_back({name, value});
  (kind == MetricKind::kCounter ? metric.counter.value : metric.gauge.value) = sample.second;
  return metric;
}

}  // namespace

// prometheus-cpp throws on what CheckMetricName and GetFamily have refused by then; nothing else.
struct Metrics::State {
  Family& GetFamily(MetricKind kind, absl::string_view name, absl::string_view help)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  Family& GetFamily(MetricKind kind, absl::string_view name, absl::string_view help,
                    const Labels& labels) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  prometheus::Registry registry;
  Mutex mu;
  std::map<std::string, Family, std::less<>> families ABSL_GUARDED_BY(mu);
  // Scrapes hold this while they call sources, so that the end of a Callback can wait for them.
  Mutex callbacks_mu;
  std::map<int, CallbackEntry> callbacks ABSL_GUARDED_BY(callbacks_mu);
  int next_callback ABSL_GUARDED_BY(callbacks_mu) = 1;
};

Family& Metrics::State::GetFamily(MetricKind kind, absl::string_view name, absl::string_view help) {
  const absl::Status named = CheckMetricName(kind, name);
  HONE_CHECK(named.ok()) << named.message();
  HONE_CHECK(!help.empty()) << "metric " << name << " has no help";
  const auto [at, is_new] = families.try_emplace(std::string(name));
  Family& family = at->second;
  if (is_new) {
    family.kind = kind;
    family.help = std::string(help);
  }
  HONE_CHECK(family.kind == kind) << "metric " << name << " is a "
                                  << kKindNames[static_cast<int>(family.kind)]
                                  << " and cannot be a " << kKindNames[static_cast<int>(kind)];
  HONE_CHECK(family.help == help) << "metric " << name << " says \"" << family.help << "\" and \""
                                  << help << "\"";
  return family;
}

Family& Metrics::State::GetFamily(MetricKind kind, absl::string_view name, absl::string_view help,
                                  const Labels& labels) {
  Family& family = GetFamily(kind, name, help);
  std::string label_names;
  for (const auto& [label, value] : labels) {
    const absl::Status named = CheckLabelName(label);
    HONE_CHECK(named.ok()) << "metric " << name << ": " << named.message();
    label_names += label + ",";
  }
  if (!std::exchange(family.has_labels, true)) family.label_names = label_names;
  HONE_CHECK(family.label_names == label_names)
      << "metric " << name << " has labels " << family.label_names << " elsewhere, here "
      << label_names;
  return family;
}

void Counter::Increment(double by) {
  HONE_CHECK(by >= 0) << "a counter cannot change by " << by;
  if (counter_ != nullptr) counter_->Increment(by);
}
double Counter::Value() const {
  return counter_ == nullptr ? 0 : counter_->Value();
}
void Gauge::Set(double value) {
  if (gauge_ != nullptr) gauge_->Set(value);
}
void Gauge::Increment(double by) {
  if (gauge_ != nullptr) gauge_->Increment(by);
}
void Gauge::Decrement(double by) {
  if (gauge_ != nullptr) gauge_->Decrement(by);
}
void Gauge::SetToNow() {
  using Seconds = std::chrono::duration<double>;
  Set(Seconds(SystemClock::Get().WallNow().time_since_epoch()).count());
}
double Gauge::Value() const {
  return gauge_ == nullptr ? 0 : gauge_->Value();
}
void Histogram::Observe(double value) {
  if (histogram_ != nullptr) histogram_->Observe(value);
}

std::vector<double> ExponentialBuckets(double start, double factor, int count) {
  HONE_CHECK(start > 0 && factor > 1 && count >= 1) << start << " * " << factor << "^" << count;
  std::vector<double> bounds{start};
  while (static_cast<int>(bounds.size()) < count) bounds.push_back(bounds.back() * factor);
  return bounds;
}
std::vector<double> LinearBuckets(double start, double width, int count) {
  HONE_CHECK(width > 0 && count >= 1) << start << " + " << count << " * " << width;
  std::vector<double> bounds;
  for (int i = 0; i < count; ++i) bounds.push_back(start + i * width);
  return bounds;
}

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

Counter Metrics::AddCounter(absl::string_view name, absl::string_view help, const Labels& labels) {
  MutexLock lock(state_->mu);
  Family& family = state_->GetFamily(MetricKind::kCounter, name, help, labels);
  if (family.counters == nullptr)
    family.counters = &prometheus::BuildCounter()
                           .Name(std::string(name))
                           .Help(std::string(help))
                           .Register(state_->registry);
  return Counter(&family.counters->Add(labels));
}

Gauge Metrics::AddGauge(absl::string_view name, absl::string_view help, const Labels& labels) {
  MutexLock lock(state_->mu);
  Family& family = state_->GetFamily(MetricKind::kGauge, name, help, labels);
  if (family.gauges == nullptr)
    family.gauges = &prometheus::BuildGauge()
                         .Name(std::string(name))
                         .Help(std::string(help))
                         .Register(state_->registry);
  return Gauge(&family.gauges->Add(labels));
}

Histogram Metrics::AddHistogram(absl::string_view name, absl::string_view help,
                                std::vector<double> bounds, const Labels& labels) {
  HONE_CHECK(!bounds.empty() && bounds.size() <= 20 &&
             std::is_sorted(bounds.begin(), bounds.end(), std::less_equal<>()))
      << "buckets of " << name << ": " << absl::StrJoin(bounds, ", ");
  MutexLock lock(state_->mu);
  Family& family = state_->GetFamily(MetricKind::kHistogram, name, help, labels);
  if (family.histograms == nullptr) {
    family.bounds = bounds;
    family.histograms = &prometheus::BuildHistogram()
                             .Name(std::string(name))
                             .Help(std::string(help))
                             .Register(state_->registry);
  }
  HONE_CHECK(family.bounds == bounds) << "buckets of " << name << " differ from those elsewhere";
  return Histogram(&family.histograms->Add(labels, bounds));
}

void Metrics::Remove(Counter counter) {
  MutexLock lock(state_->mu);
  for (auto& [name, family] : state_->families)
    if (family.counters != nullptr) family.counters->Remove(counter.counter_);
}
void Metrics::Remove(Gauge gauge) {
  MutexLock lock(state_->mu);
  for (auto& [name, family] : state_->families)
    if (family.gauges != nullptr) family.gauges->Remove(gauge.gauge_);
}
void Metrics::Remove(Histogram histogram) {
  MutexLock lock(state_->mu);
  for (auto& [name, family] : state_->families)
    if (family.histograms != nullptr) family.histograms->Remove(histogram.histogram_);
}

Metrics::Callback Metrics::AddCallback(MetricKind kind, absl::string_view name,
                                       absl::string_view help, Source source) {
  HONE_CHECK(kind != MetricKind::kHistogram) << name;
  {
    MutexLock lock(state_->mu);
    state_->GetFamily(kind, name, help);
  }
  MutexLock lock(state_->callbacks_mu);
  const int id = state_->next_callback++;
  state_->callbacks[id] = {kind, std::string(name), std::string(help), std::move(source)};
  return Callback(this, id);
}
Metrics::Callback Metrics::AddCallback(MetricKind kind, absl::string_view name,
                                       absl::string_view help, std::function<double()> value) {
  return AddCallback(kind, name, help, Source([value = std::move(value)] {
                       return std::vector<Sample>{{Labels(), value()}};
                     }));
}
void Metrics::RemoveCallback(int id) {
  MutexLock lock(state_->callbacks_mu);
  state_->callbacks.erase(id);
}

Metrics::Callback::Callback(Callback&& other) noexcept
    : metrics_(std::exchange(other.metrics_, nullptr)), id_(other.id_) {}
Metrics::Callback& Metrics::Callback::operator=(Callback&& other) noexcept {
  std::swap(metrics_, other.metrics_);
  std::swap(id_, other.id_);
  return *this;
}
Metrics::Callback::~Callback() {
  if (metrics_ != nullptr) metrics_->RemoveCallback(id_);
}

std::string Metrics::Render() const {
  // One family per name, however many places its series come from: the format demands it.
  std::map<std::string, prometheus::MetricFamily> families;
  for (prometheus::MetricFamily& family : state_->registry.Collect()) {
    const std::string name = family.name;
    families[name] = std::move(family);
  }
  {
    MutexLock lock(state_->callbacks_mu);
    for (const auto& [id, entry] : state_->callbacks) {
      prometheus::MetricFamily& family = families[entry.name];
      family.name = entry.name;
      family.help = entry.help;
      family.type = TypeOf(entry.kind);
      for (const Sample& sample : entry.source())
        family.metric.push_back(ToClient(entry.kind, sample));
    }
  }
  std::vector<prometheus::MetricFamily> all;
  for (auto& [name, family] : families) {
    if (family.metric.empty()) continue;
    std::sort(family.metric.begin(), family.metric.end(),
              [](const auto& a, const auto& b) { return a.label < b.label; });
    all.push_back(std::move(family));
  }
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, all);
  return out.str();
}

}  // namespace hone
