#include "libs/telemetry/metrics.h"

#include <unistd.h>

#include <atomic>
#include <thread>

#include "libs/telemetry/process_metrics.h"
#include "tests/testing/test.h"

namespace hone {
namespace {

// The value of the series whose name and labels are `series`, or NaN.
double ValueOf(const std::string& text, const std::string& series) {
  const size_t at = ("\n" + text).find("\n" + series + " ");
  return at == std::string::npos ? std::nan("") : std::stod(text.substr(at + series.size()));
}

TEST_CASE("Counters, gauges and histograms show what they were given", "[telemetry]") {
  Metrics metrics;
  Counter prompts =
      metrics.AddCounter("hone_rollout_tokens_total", "Tokens.", {{"kind", "prompt"}});
  Counter same = metrics.AddCounter("hone_rollout_tokens_total", "Tokens.", {{"kind", "prompt"}});
  Gauge depth = metrics.AddGauge("hone_queue_prompts", "Prompts that wait.");
  Histogram seconds = metrics.AddHistogram("hone_reward_seconds", "Time to score.", {0.1, 1});
  prompts.Increment(3);
  same.Increment();
  depth.Set(5);
  depth.Decrement(2);
  for (double s : {0.05, 0.5, 0.5, 7.0}) seconds.Observe(s);
  CHECK(prompts.Value() == 4);
  const std::string text = metrics.Render();
  CHECK(ValueOf(text, "hone_rollout_tokens_total{kind=\"prompt\"}") == 4);
  CHECK(ValueOf(text, "hone_queue_prompts") == 3);
  CHECK(ValueOf(text, "hone_reward_seconds_bucket{le=\"0.1\"}") == 1);
  CHECK(ValueOf(text, "hone_reward_seconds_bucket{le=\"1\"}") == 3);
  CHECK(ValueOf(text, "hone_reward_seconds_bucket{le=\"+Inf\"}") == 4);
  CHECK(ValueOf(text, "hone_reward_seconds_sum") == Approx(8.05));
  CHECK_THAT(text, Catch::Contains("# TYPE hone_rollout_tokens_total counter\n") &&
                       Catch::Contains("# HELP hone_queue_prompts Prompts that wait.\n"));
}

TEST_CASE("A removed series is gone and its siblings stay", "[telemetry]") {
  Metrics metrics;
  Gauge a = metrics.AddGauge("hone_learner_loss", "Loss.", {{"run", "a"}});
  Gauge b = metrics.AddGauge("hone_learner_loss", "Loss.", {{"run", "b"}});
  b.Set(2);
  metrics.Remove(a);
  CHECK(std::isnan(ValueOf(metrics.Render(), "hone_learner_loss{run=\"a\"}")));
  CHECK(ValueOf(metrics.Render(), "hone_learner_loss{run=\"b\"}") == 2);
  metrics.Remove(b);
  CHECK(metrics.Render().empty());
}

TEST_CASE("A handle that was never made swallows what it is given", "[telemetry]") {
  Counter().Increment();
  Gauge().Set(1);
  Histogram().Observe(1);
  CHECK(Counter().Value() == 0);
}

TEST_CASE("Callbacks of one name become one family and end with their handle", "[telemetry]") {
  Metrics metrics;
  const auto source = [](const char* state, double value) {
    return Metrics::Source([=] {
      return std::vector<Metrics::Sample>{{{{"state", state}}, value}};
    });
  };
  Metrics::Callback ready =
      metrics.AddCallback(MetricKind::kGauge, "hone_prompts", "Prompts.", source("ready", 1));
  {
    Metrics::Callback leased =
        metrics.AddCallback(MetricKind::kGauge, "hone_prompts", "Prompts.", source("leased", 2));
    CHECK(metrics.Render() ==
          "# HELP hone_prompts Prompts.\n# TYPE hone_prompts gauge\n"
          "hone_prompts{state=\"leased\"} 2\nhone_prompts{state=\"ready\"} 1\n");
  }
  CHECK(std::isnan(ValueOf(metrics.Render(), "hone_prompts{state=\"leased\"}")));
  ready = Metrics::Callback();
  CHECK(metrics.Render().empty());
}

TEST_CASE("The end of a callback waits for the scrape that is calling it", "[telemetry]") {
  Metrics metrics;
  std::atomic<bool> called{false}, returned{false};
  Metrics::Callback callback =
      metrics.AddCallback(MetricKind::kGauge, "hone_slow", "Slow.", std::function<double()>([&] {
                            called = true;
                            std::this_thread::sleep_for(std::chrono::milliseconds(20));
                            returned = true;
                            return 1.0;
                          }));
  std::thread scraper([&] { (void)metrics.Render(); });
  while (!called) std::this_thread::yield();
  callback = Metrics::Callback();
  // The assignment swapped; the old registration ended with the temporary.
  CHECK(returned);
  scraper.join();
}

TEST_CASE("Metric names follow the rules", "[telemetry]") {
  const MetricKind c = MetricKind::kCounter, g = MetricKind::kGauge, h = MetricKind::kHistogram;
  for (const char* name :
       {"hone_steps_total", "hone_busy_seconds_total", "grpc_server_handled_total"})
    CHECK_OK(CheckMetricName(c, name));
  for (const char* name : {"hone_queue_prompts", "hone_cache_used_ratio", "process_open_fds"})
    CHECK_OK(CheckMetricName(g, name));
  CHECK_OK(CheckMetricName(h, "hone_reward_seconds"));

  for (const char* name : {"hone_steps", "steps_total", "hone_Steps_total", "hone__steps_total",
                           "hone_busy_ms_total", "hone_total_"})
    CHECK_CODE(CheckMetricName(c, name), absl::StatusCode::kInvalidArgument);
  for (const char* name :
       {"hone_steps_total", "hone_wait_ms", "hone_wait_milliseconds", "hone_used_percent",
        "hone_memory_mb", "hone", "vllm_queue", "hone:queue", "hone_things_count", ""})
    CHECK_CODE(CheckMetricName(g, name), absl::StatusCode::kInvalidArgument);
  CHECK_CODE(CheckMetricName(h, "hone_reward_seconds_bucket"), absl::StatusCode::kInvalidArgument);

  CHECK_OK(CheckLabelName("finish_reason"));
  for (const char* name : {"le", "job", "prompt_id", "Kind", "finish-reason", "__x", ""})
    CHECK_CODE(CheckLabelName(name), absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(CheckMetricName(g, "hone_wait_ms").message()),
             Catch::Contains("hone_wait_ms") && Catch::Contains("seconds"));
}

TEST_CASE("Label values are escaped", "[telemetry]") {
  Metrics metrics;
  metrics.AddCounter("hone_x_total", "X.", {{"reason", "a \"b\"\n\\"}});
  CHECK_THAT(metrics.Render(), Catch::Contains(R"(hone_x_total{reason="a \"b\"\n\\"} 0)"));
}

TEST_CASE("Counters lose nothing between threads, also while being scraped", "[telemetry]") {
  Metrics metrics;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      Counter counter = metrics.AddCounter("hone_x_total", "X.", {{"half", t % 2 ? "b" : "a"}});
      for (int i = 0; i < 5000; ++i) counter.Increment();
    });
  for (int i = 0; i < 20; ++i) (void)metrics.Render();
  for (std::thread& t : threads) t.join();
  CHECK(ValueOf(metrics.Render(), "hone_x_total{half=\"a\"}") == 10000);
  CHECK(ValueOf(metrics.Render(), "hone_x_total{half=\"b\"}") == 10000);
}

TEST_CASE("The process shows its own resources", "[telemetry]") {
  Metrics metrics;
  const std::vector<Metrics::Callback> process = ExportProcessMetrics(metrics);
  std::string text = metrics.Render();
  CHECK(ValueOf(text, "process_resident_memory_bytes") > 1e6);
  CHECK(ValueOf(text, "process_virtual_memory_bytes") >=
        ValueOf(text, "process_resident_memory_bytes"));
  CHECK(ValueOf(text, "process_cpu_seconds_total") >= 0);
  CHECK(ValueOf(text, "process_threads") >= 1);
  CHECK(ValueOf(text, "process_max_fds") >= 16);
  const double now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  CHECK(std::abs(ValueOf(text, "process_start_time_seconds") - now) < 3600);
  CHECK_THAT(text,
             Catch::Contains("hone_build_info{build_type=\"") && Catch::Contains("version=\"0."));
  const double before = ValueOf(text, "process_open_fds");
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  CHECK(ValueOf(metrics.Render(), "process_open_fds") == before + 2);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("Buckets are what was asked for", "[telemetry]") {
  CHECK(ExponentialBuckets(1, 4, 3) == std::vector<double>{1, 4, 16});
  CHECK(LinearBuckets(-1, 0.5, 5) == std::vector<double>{-1, -0.5, 0, 0.5, 1});
}

}  // namespace
}  // namespace hone
