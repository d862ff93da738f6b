#pragma once

// Private to ball*.cc: it needs Arb's headers.

#include <acb.h>

#include <string>
#include <utility>
#include <vector>

#include "libs/reward/math/ball.h"

namespace hone::math {

class Ball {
 public:
  Ball() { acb_init(v); }
  ~Ball() { acb_clear(v); }
  Ball(const Ball&) = delete;
  Ball& operator=(const Ball&) = delete;
  acb_t v;
};

// Values of symbols: numerator and denominator.
struct Point {
  std::vector<std::pair<std::string, std::pair<long, long>>> values;
};

class BallEvaluator {
 public:
  BallEvaluator(slong precision, const Point* point, Logarithm logarithm, Budget* budget)
      : precision_(precision), point_(point), logarithm_(logarithm), budget_(budget) {}

  // False where `n` has no finite value here, or one that is not known well enough.
  bool Run(const Node& n, acb_t out);
  // Whether a square root, logarithm or power left the real numbers.
  bool branched() const { return branched_; }

 private:
  bool Number(const Node& n, acb_t out);
  bool Power(const Node& n, acb_t out);
  bool Call(const Node& n, acb_t out);
  bool Root(acb_t x, long index);
  bool Log(acb_t x);
  bool Elementary(const std::string& name, acb_t out, const acb_t x);
  bool Rounded(const Node& n, acb_t out);
  bool Apply(const Node& n, acb_t out);
  bool Finite(const acb_t x) const;

  const slong precision_;
  const Point* point_;
  const Logarithm logarithm_;
  Budget* budget_;
  bool branched_ = false;
  bool angle_ = false;  // in the argument of a trigonometric function: degrees count
};

}  // namespace hone::math
