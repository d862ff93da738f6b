#include "services/rollout/rollout_options.h"

#include <map>
#include <string>

namespace hone {

void AddRolloutOptions(CLI::App& app, RolloutLoop::Options& options) {
  app.add_option("--max-sequences", options.max_sequences, "completions generated at once")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--max-batch-tokens", options.max_batch_tokens, "tokens of one forward pass")
      ->check(CLI::Range(16, 1 << 20))
      ->capture_default_str();
  app.add_option("--cache-tokens", options.cache_tokens, "rows of the key/value cache")
      ->check(CLI::Range(64, 1 << 30))
      ->capture_default_str();
  const std::map<std::string, InFlight> modes = {
      {"keep", InFlight::kKeep}, {"recompute", InFlight::kRecompute}, {"abort", InFlight::kAbort}};
  app.add_option_function<std::string>(
         "--in-flight",
         [&options, modes](const std::string& mode) { options.in_flight = modes.at(mode); },
         "completions in flight when weights change in an asynchronous run")
      ->check(CLI::IsMember({"keep", "recompute", "abort"}))
      ->default_str("keep");
}

}  // namespace hone
