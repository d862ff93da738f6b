#include "libs/config/validate.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/time/civil_time.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "libs/config/rewards.h"
#include "proto/google/rpc/error_details.pb.h"

namespace hone {
namespace {

namespace pb = google::protobuf;

// As documented at AdvantageSpec.preset.
constexpr absl::string_view kPresets[] = {
    "paper",         "deepseekmath",      "verl",  "trl",      "trl_batch", "openrlhf", "slime",
    "open_instruct", "open_instruct_std", "areal", "prime_rl", "dr_grpo",   "v3_2",     "rloo"};

class Validator {
 public:
  explicit Validator(std::vector<FieldViolation>* out) : out_(out) {}

  void Run(const v1::RunSpec& spec);
  void Sampling(const v1::SamplingParams& s, const std::string& at);
  void Sane(const pb::Message& message, const std::string& at);

 private:
  void Add(std::string path, std::string message) {
    out_->push_back({std::move(path), std::move(message)});
  }
  // `expected` as in "at least 2".
  template <typename T>
  void Expect(bool ok, const std::string& at, absl::string_view field, T value,
              absl::string_view expected) {
    if (!ok)
      Add(absl::StrCat(at, at.empty() ? "" : ".", field),
          absl::StrCat(value, " (expected ", expected, ")"));
  }
  void Id(const std::string& id, const std::string& at, absl::string_view field) {
    Expect(IsId(id), at, field, absl::StrCat("\"", id, "\""),
           "an id: 1 to 63 of a-z 0-9 _ . -, beginning with a letter or digit");
  }
  void Unique(const std::string& name, const std::string& at, absl::string_view field,
              std::map<std::string, std::string>* seen) {
    auto [it, is_new] = seen->emplace(name, at);
    if (!is_new)
      Add(absl::StrCat(at, ".", field), absl::StrCat("\"", name, "\" is also the name of ",
                                                     it->second, " (expected unique names)"));
  }
  void Positive(int64_t value, const std::string& at, absl::string_view field) {
    Expect(value > 0, at, field, value, "more than 0");
  }
  void NotNegative(double value, const std::string& at, absl::string_view field) {
    Expect(value >= 0, at, field, value, "at least 0");
  }

  void Chat(const v1::ChatSpec& chat);
  void Stage(const v1::StageSpec& stage, const std::string& at);
  void Sft(const v1::SftStage& s, const std::string& at);
  void Pretrain(const v1::PretrainStage& s, const std::string& at);
  template <typename Spec>
  void Supervised(const Spec& s, const std::string& at);
  void Grpo(const v1::GrpoStage& g, const std::string& at);
  void Optimizer(const v1::OptimizerSpec& o, int64_t steps, const std::string& at);
  void Moe(const v1::MoeSpec& m, const std::string& at);
  void Lora(const v1::LoraSpec& l, const std::string& at);
  void Advantage(const v1::AdvantageSpec& a, const std::string& at);
  void Loss(const v1::LossSpec& l, const std::string& at);
  void OffPolicy(const v1::OffPolicySpec& o, v1::LossSpec::Policy policy, const std::string& at);
  void Kl(const v1::KlSpec& k, const std::string& at);
  void Context(const v1::SamplingParams& s, const std::string& at);

  std::vector<FieldViolation>* const out_;
  const v1::RunSpec* spec_ = nullptr;
  std::set<std::string> evaluations_;
};

// Specs also arrive over the wire, where any number may stand for an enum and a double may be NaN.
void Validator::Sane(const pb::Message& message, const std::string& at) {
  const pb::Reflection* reflection = message.GetReflection();
  std::vector<const pb::FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    const std::string here = absl::StrCat(at, at.empty() ? "" : ".", field->name());
    if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) {
      // Free-form values are the scorers' own business.
      if (field->message_type()->file()->package() != "hone.v1") continue;
      if (!field->is_repeated()) {
        Sane(reflection->GetMessage(message, field), here);
        continue;
      }
      for (int i = 0; i < reflection->FieldSize(message, field); ++i)
        Sane(reflection->GetRepeatedMessage(message, field, i), absl::StrCat(here, "[", i, "]"));
    } else if (field->is_repeated()) {
      continue;
    } else if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_ENUM) {
      const int value = reflection->GetEnumValue(message, field);
      if (field->enum_type()->FindValueByNumber(value) == nullptr)
        Add(here,
            absl::StrCat(value, " (expected a value of ", field->enum_type()->full_name(), ")"));
    } else if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_DOUBLE ||
               field->cpp_type() == pb::FieldDescriptor::CPPTYPE_FLOAT) {
      const double value = field->cpp_type() == pb::FieldDescriptor::CPPTYPE_DOUBLE
                               ? reflection->GetDouble(message, field)
                               : reflection->GetFloat(message, field);
      if (!std::isfinite(value)) Add(here, absl::StrCat(value, " (expected a finite number)"));
    }
  }
}

void Validator::Chat(const v1::ChatSpec& chat) {
  pb::Struct variables;
  Expect(
      chat.variables().empty() || pb::util::JsonStringToMessage(chat.variables(), &variables).ok(),
      "model.chat", "variables", chat.variables(), "a JSON object");
  absl::CivilDay day;
  // Parsing allows shorter forms; the text must be the one that the day is written as.
  Expect(chat.date().empty() ||
             (absl::ParseCivilTime(chat.date(), &day) && absl::FormatCivilTime(day) == chat.date()),
         "model.chat", "date", chat.date(), "YYYY-MM-DD");
}

void Validator::Run(const v1::RunSpec& spec) {
  spec_ = &spec;
  Sane(spec, "");
  Id(spec.name(), "", "name");
  if (spec.model().path().empty())
    Add("model.path", "missing (expected a folder in Hugging Face layout)");
  NotNegative(spec.model().max_context(), "model", "max_context");
  if (spec.model().has_lora()) Lora(spec.model().lora(), "model.lora");
  if (spec.model().has_chat()) Chat(spec.model().chat());

  std::map<std::string, std::string> names;
  for (int i = 0; i < spec.evaluations_size(); ++i) {
    const v1::EvaluationSpec& e = spec.evaluations(i);
    const std::string at = absl::StrCat("evaluations[", i, "]");
    evaluations_.insert(e.name());
    Id(e.name(), at, "name");
    Unique(e.name(), at, "name", &names);
    Id(e.prompt_set(), at, "prompt_set");
    Positive(e.samples(), at, "samples");
    Sampling(e.sampling(), absl::StrCat(at, ".sampling"));
    Context(e.sampling(), absl::StrCat(at, ".sampling"));
    NotNegative(static_cast<double>(e.every_steps()), at, "every_steps");
    NotNegative(static_cast<double>(e.max_prompts()), at, "max_prompts");
  }

  names.clear();
  if (spec.stages().empty()) Add("stages", "empty (expected at least one stage)");
  for (int i = 0; i < spec.stages_size(); ++i) {
    const std::string at = absl::StrCat("stages[", i, "]");
    Stage(spec.stages(i), at);
    Unique(spec.stages(i).name(), at, "name", &names);
  }

  for (FieldViolation& v : ValidateRewards(spec)) out_->push_back(std::move(v));

  if (spec.checkpoint().path().empty()) Add("checkpoint.path", "missing (expected a folder)");
  NotNegative(static_cast<double>(spec.checkpoint().every_steps()), "checkpoint", "every_steps");
  NotNegative(spec.checkpoint().keep(), "checkpoint", "keep");
}

void Validator::Stage(const v1::StageSpec& stage, const std::string& at) {
  Id(stage.name(), at, "name");
  switch (stage.kind_case()) {
    case v1::StageSpec::kSft:
      return Sft(stage.sft(), absl::StrCat(at, ".sft"));
    case v1::StageSpec::kGrpo:
      return Grpo(stage.grpo(), absl::StrCat(at, ".grpo"));
    case v1::StageSpec::kPretrain:
      return Pretrain(stage.pretrain(), absl::StrCat(at, ".pretrain"));
    case v1::StageSpec::KIND_NOT_SET:
      break;
  }
  Add(at, "no kind (expected one of pretrain, sft, grpo)");
}

template <typename Spec>
void Validator::Supervised(const Spec& s, const std::string& at) {
  Id(s.prompt_set(), at, "prompt_set");
  Positive(s.steps(), at, "steps");
  Positive(s.batch_size(), at, "batch_size");
  Optimizer(s.optimizer(), s.steps(), absl::StrCat(at, ".optimizer"));
  Moe(s.moe(), absl::StrCat(at, ".moe"));
  NotNegative(s.max_micro_batch_tokens(), at, "max_micro_batch_tokens");
}

void Validator::Pretrain(const v1::PretrainStage& s, const std::string& at) {
  Supervised(s, at);
  Expect(s.fim().rate() >= 0 && s.fim().rate() <= 1, absl::StrCat(at, ".fim"), "rate",
         s.fim().rate(), "0 to 1");
}

void Validator::Sft(const v1::SftStage& s, const std::string& at) {
  Supervised(s, at);
  if (!s.has_gate()) return;
  const std::string gate = absl::StrCat(at, ".gate");
  Expect(evaluations_.count(s.gate().evaluation()) > 0, gate, "evaluation",
         absl::StrCat("\"", s.gate().evaluation(), "\""), "the name of one of the evaluations");
  Expect(s.gate().min_pass_at_1() >= 0 && s.gate().min_pass_at_1() <= 1, gate, "min_pass_at_1",
         s.gate().min_pass_at_1(), "0 to 1");
}

void Validator::Grpo(const v1::GrpoStage& g, const std::string& at) {
  Id(g.prompt_set(), at, "prompt_set");
  Positive(g.steps(), at, "steps");
  Positive(g.prompts_per_step(), at, "prompts_per_step");
  Expect(g.group_size() >= 2, at, "group_size", g.group_size(), "at least 2");
  NotNegative(g.updates_per_step(), at, "updates_per_step");
  const int64_t completions = int64_t{g.prompts_per_step()} * g.group_size();
  if (g.prompts_per_step() > 0 && g.group_size() >= 2) {
    Expect(g.updates_per_step() <= completions, at, "updates_per_step", g.updates_per_step(),
           absl::StrCat("at most the ", completions, " completions of a step"));
    Expect(g.min_group() == 0 || (g.min_group() >= 2 && g.min_group() <= g.group_size()), at,
           "min_group", g.min_group(), absl::StrCat("2 to group_size = ", g.group_size()));
  }
  NotNegative(g.max_staleness(), at, "max_staleness");
  NotNegative(g.max_micro_batch_tokens(), at, "max_micro_batch_tokens");
  const std::string sampling = absl::StrCat(at, ".sampling");
  Sampling(g.sampling(), sampling);
  Context(g.sampling(), sampling);
  Expect(!g.sampling().greedy(), sampling, "greedy", "true",
         "false: the completions of a group would all be the same");
  Advantage(g.advantage(), absl::StrCat(at, ".advantage"));
  Loss(g.loss(), absl::StrCat(at, ".loss"));
  Kl(g.kl(), absl::StrCat(at, ".kl"));
  Optimizer(g.optimizer(), g.steps() * std::max(1, g.updates_per_step()),
            absl::StrCat(at, ".optimizer"));
  Moe(g.moe(), absl::StrCat(at, ".moe"));
}

void Validator::Lora(const v1::LoraSpec& l, const std::string& at) {
  Expect(!spec_->model().random_init(), "model", "random_init", "true",
         "false with model.lora: adapters need a trained model under them");
  if (!l.adapter().empty()) {
    Expect(l.rank() == 0 && l.alpha() == 0 && l.targets().empty(), at, "adapter",
           absl::StrCat("\"", l.adapter(), "\""),
           "an adapter alone, or rank, alpha and targets without one");
    return;
  }
  Expect(l.rank() >= 1 && l.rank() <= 4096, at, "rank", l.rank(), "1 to 4096");
  Expect(l.alpha() >= 0, at, "alpha", l.alpha(), "more than 0, or 0 for 2 * rank");
  for (int i = 0; i < l.targets_size(); ++i)
    Expect(!l.targets(i).empty(), at, absl::StrCat("targets[", i, "]"), "\"\"",
           "the name of a module");
}

void Validator::Sampling(const v1::SamplingParams& s, const std::string& at) {
  Expect(s.greedy() || s.temperature() >= 0, at, "temperature", s.temperature(),
         "more than 0, or 0 for 1, or greedy");
  Expect(s.top_p() >= 0 && s.top_p() <= 1, at, "top_p", s.top_p(),
         "more than 0 and at most 1, or 0 for 1");
  NotNegative(s.top_k(), at, "top_k");
  Positive(s.max_new_tokens(), at, "max_new_tokens");
  for (int i = 0; i < s.stop_size(); ++i)
    Expect(!s.stop(i).empty(), at, absl::StrCat("stop[", i, "]"), "\"\"", "text");
  for (int i = 0; i < s.stop_token_ids_size(); ++i)
    NotNegative(s.stop_token_ids(i), at, absl::StrCat("stop_token_ids[", i, "]"));
}

void Validator::Context(const v1::SamplingParams& s, const std::string& at) {
  const int context = spec_->model().max_context();
  Expect(context <= 0 || s.max_new_tokens() < context, at, "max_new_tokens", s.max_new_tokens(),
         absl::StrCat("less than model.max_context = ", context));
}

void Validator::Advantage(const v1::AdvantageSpec& a, const std::string& at) {
  Expect(a.ddof() == 0 || a.ddof() == 1, at, "ddof", a.ddof(), "0 or 1");
  if (a.preset().empty()) return;
  const std::string preset = absl::StrCat("\"", a.preset(), "\"");
  Expect(std::count(std::begin(kPresets), std::end(kPresets), a.preset()) == 1, at, "preset",
         preset, absl::StrCat("one of ", absl::StrJoin(kPresets, ", ")));
  Expect(a.kind() == v1::AdvantageSpec::KIND_UNSPECIFIED && a.eps() == 0 && a.ddof() == 0, at,
         "preset", preset, "a preset alone, or kind, eps and ddof without one");
}

void Validator::Loss(const v1::LossSpec& l, const std::string& at) {
  using Loss = v1::LossSpec;
  const auto policy = l.policy() == Loss::POLICY_UNSPECIFIED ? Loss::POLICY_CLIP : l.policy();
  // Ten is a legal range (DeepSeek-R1): it only ever clips ratios above 11.
  Expect(l.clip_low() >= 0, at, "clip_low", l.clip_low(), "more than 0, or 0 for 0.2");
  Expect(l.clip_high() >= 0, at, "clip_high", l.clip_high(), "more than 0, or 0 for clip_low");
  Expect(l.dual_clip() == 0 || l.dual_clip() > 1, at, "dual_clip", l.dual_clip(),
         "more than 1, or 0 for off");
  Expect(l.dual_clip() == 0 || policy == Loss::POLICY_CLIP, at, "dual_clip", l.dual_clip(),
         "0 unless the policy is clip");
  NotNegative(l.entropy_coef(), at, "entropy_coef");
  NotNegative(l.ratio_cap(), at, "ratio_cap");
  NotNegative(l.sapo_tau_positive(), at, "sapo_tau_positive");
  NotNegative(l.sapo_tau_negative(), at, "sapo_tau_negative");
  if (l.ratio_cap() > 0 && policy == Loss::POLICY_CLIP) {
    const double low = l.clip_low() > 0 ? l.clip_low() : 0.2;
    const double bound = 1 + (l.clip_high() > 0 ? l.clip_high() : low);
    Expect(l.ratio_cap() > bound, at, "ratio_cap", l.ratio_cap(),
           absl::StrCat("more than 1 + clip_high = ", bound, ", or 0 for off"));
  } else {
    Expect(l.ratio_cap() <= 0 || policy == Loss::POLICY_DPPO_TV, at, "ratio_cap", l.ratio_cap(),
           "0 unless the policy is clip or dppo_tv");
  }
  OffPolicy(l.off_policy(), policy, absl::StrCat(at, ".off_policy"));
}

void Validator::OffPolicy(const v1::OffPolicySpec& o, v1::LossSpec::Policy policy,
                          const std::string& at) {
  NotNegative(o.weight_low(), at, "weight_low");
  NotNegative(o.weight_high(), at, "weight_high");
  NotNegative(o.geo_low(), at, "geo_low");
  NotNegative(o.geo_high(), at, "geo_high");
  NotNegative(o.sequence_mask_delta(), at, "sequence_mask_delta");
  Expect(o.max_nonfinite() >= 0 && o.max_nonfinite() <= 1, at, "max_nonfinite", o.max_nonfinite(),
         "0 to 1, or 0 for 0.01");
  const double high = o.weight_high() > 0                                  ? o.weight_high()
                      : o.weight() == v1::OffPolicySpec::WEIGHT_TOKEN_MASK ? 5
                                                                           : 2;
  Expect(o.weight_low() <= high, at, "weight_low", o.weight_low(),
         absl::StrCat("at most weight_high = ", high));
  Expect(o.geo_low() <= o.geo_high(), at, "geo_low", o.geo_low(),
         absl::StrCat("at most geo_high = ", o.geo_high()));
  if (o.recompute_old()) return;
  Expect(o.geo_high() <= 0, at, "geo_high", o.geo_high(),
         "recompute_old: without it the ratio is 1 by definition");
  const bool weighted = o.weight() != v1::OffPolicySpec::WEIGHT_UNSPECIFIED &&
                        o.weight() != v1::OffPolicySpec::WEIGHT_NONE;
  Expect(!weighted || policy == v1::LossSpec::POLICY_REINFORCE, at, "weight", "a weight",
         "recompute_old, or policy reinforce: a ratio loss has the ratio to the sampler in it "
         "already");
}

void Validator::Kl(const v1::KlSpec& k, const std::string& at) {
  NotNegative(k.beta(), at, "beta");
  NotNegative(k.refresh_steps(), at, "refresh_steps");
  NotNegative(k.monitor_every(), at, "monitor_every");
  if (k.beta() == 0) return;
  if (k.placement() == v1::KlSpec::PLACEMENT_REWARD) {
    const bool through_ratio = k.estimator() == v1::KlSpec::ESTIMATOR_UNBIASED ||
                               k.estimator() == v1::KlSpec::ESTIMATOR_K1_RHO;
    Expect(!through_ratio, at, "estimator", "a gradient through rho",
           "another estimator than unbiased and k1_rho: a KL in the reward has no gradient");
  } else {
    Expect(k.estimator() != v1::KlSpec::ESTIMATOR_K1, at, "estimator", "k1",
           "another estimator: in the loss the expected gradient of k1 is zero");
  }
}

void Validator::Optimizer(const v1::OptimizerSpec& o, int64_t steps, const std::string& at) {
  Expect(o.learning_rate() > 0, at, "learning_rate", o.learning_rate(), "more than 0");
  NotNegative(static_cast<double>(o.warmup_steps()), at, "warmup_steps");
  Expect(steps <= 0 || o.warmup_steps() <= steps, at, "warmup_steps", o.warmup_steps(),
         absl::StrCat("at most the ", steps, " optimiser steps of the stage"));
  Expect(o.final_ratio() >= 0 && o.final_ratio() <= 1, at, "final_ratio", o.final_ratio(),
         "0 to 1");
  const auto decay = [&](double value, absl::string_view field) {
    Expect(value >= 0 && value < 1, at, field, value, "at least 0 and less than 1");
  };
  decay(o.beta1(), "beta1");
  decay(o.beta2(), "beta2");
  decay(o.muon_momentum(), "muon_momentum");
  NotNegative(o.eps(), at, "eps");
  NotNegative(o.weight_decay(), at, "weight_decay");
  NotNegative(o.muon_weight_decay(), at, "muon_weight_decay");
}

void Validator::Moe(const v1::MoeSpec& m, const std::string& at) {
  NotNegative(m.bias_update_rate(), at, "bias_update_rate");
  NotNegative(m.sequence_balance(), at, "sequence_balance");
  Expect(m.bias_update_rate() == 0 || !spec_->model().has_lora(), at, "bias_update_rate",
         m.bias_update_rate(), "0 with model.lora, which freezes the model");
}

}  // namespace

std::vector<FieldViolation> Validate(const v1::RunSpec& spec) {
  std::vector<FieldViolation> violations;
  Validator(&violations).Run(spec);
  return violations;
}

std::vector<FieldViolation> Validate(const v1::SamplingParams& sampling, const std::string& path) {
  std::vector<FieldViolation> violations;
  Validator validator(&violations);
  validator.Sane(sampling, path);
  validator.Sampling(sampling, path);
  return violations;
}

absl::Status ToStatus(const std::vector<FieldViolation>& violations) {
  if (violations.empty()) return absl::OkStatus();
  google::rpc::BadRequest details;
  std::string message;
  for (const FieldViolation& v : violations) {
    absl::StrAppend(&message, message.empty() ? "" : "\n", v.path, ": ", v.message);
    auto* violation = details.add_field_violations();
    violation->set_field(v.path);
    violation->set_description(v.message);
  }
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(absl::StrCat("type.googleapis.com/", details.GetDescriptor()->full_name()),
                    absl::Cord(details.SerializeAsString()));
  return status;
}

bool IsId(absl::string_view id) {
  if (id.empty() || id.size() > 63) return false;
  const auto alnum = [](char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c); };
  return alnum(id[0]) && std::all_of(id.begin(), id.end(), [&](char c) {
           return alnum(c) || c == '_' || c == '.' || c == '-';
         });
}

}  // namespace hone
