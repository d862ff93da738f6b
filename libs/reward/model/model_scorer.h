#pragma once

// What the three model scorers have in common. Internal to this library.

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "libs/reward/model/scorers.h"
#include "libs/reward/scorer.h"

namespace hone::reward_model {

// A model's number as a value.
struct Transform {
  enum class Kind { kNone, kSigmoid, kLinear };
  Kind kind = Kind::kNone;
  double low = 0, high = 1;

  static absl::StatusOr<Transform> Read(Options& options);
  // A value in [0, 1]; INVALID_ARGUMENT where `number` cannot be one.
  absl::StatusOr<double> Apply(double number) const;
};

// The options that all have in common.
struct Base {
  Backends backends;  // keeps `backend` alive
  const ModelBackend* backend = nullptr;
  bool sole = false;

  // INVALID_ARGUMENT for no or an unknown backend.
  static absl::StatusOr<Base> Read(const Backends& backends, absl::string_view scorer,
                                   Options& options);
};

class ModelScorer : public Scorer {
 public:
  bool blocks() const override { return true; }
  bool opinion() const override { return !sole_; }

 protected:
  explicit ModelScorer(Base base)
      : backends_(std::move(base.backends)), backend_(*base.backend), sole_(base.sole) {}

  const std::string& model() const { return backend_.model; }
  // POSTs `request`, with the model's name, and has `read` make a verdict of the object that comes
  // back: INVALID_ARGUMENT from it, and every other failure, is an outcome without a value.
  v1::ScorePart Ask(
      absl::string_view path, nlohmann::json& request, TimePoint deadline,
      const std::function<absl::StatusOr<v1::ScorePart>(const nlohmann::json&)>& read) const;

 private:
  const Backends backends_;
  const ModelBackend& backend_;
  const bool sole_;
};

// For reasons: at most four significant digits.
std::string Number(double number);

}  // namespace hone::reward_model
