#include <functional>
#include <map>
#include <set>

#include "google/protobuf/text_format.h"
#include "tests/train/minibatch.h"

namespace hone {
namespace {

using testing::FixtureF1;
using testing::Golden;
using testing::Minibatch;
using testing::Near;
using testing::Rows;
using testing::Run;

struct Case {
  const char* name;
  const char* loss;  // text of a LossSpec
  const char* kl = "";
  std::function<void(Minibatch*)> change = [](Minibatch*) {};
};

void MaskSequence2(Minibatch* b) {
  for (const auto& row : b->theta) b->trained.push_back(std::vector<uint8_t>(row.size(), 1));
  b->trained[2].assign(4, 0);
}

// pi_old is what the sampler reported, and the advantage is centred.
void V32(Minibatch* b) {
  b->sampler = Golden()["policy_loss_F1"]["fixture"]["logp_rollout"].get<Rows>();
  b->advantage = Golden()["policy_loss_F1"]["fixture"]["adv_center"].get<std::vector<double>>();
}

void Prox(Minibatch* b) {
  b->recomputed = Golden()["policy_loss_F1"]["fixture"]["logp_prox"].get<Rows>();
}

void OnPolicy(Minibatch* b) {
  b->sampler = b->theta;
}

constexpr char kToken[] = "aggregation: AGGREGATION_TOKEN_MEAN ";
constexpr char kSeqMean[] = "aggregation: AGGREGATION_SEQ_MEAN_TOKEN_MEAN ";

const Case kCases[] = {
    {"ppo_clip_0.2_0.2/token_mean", ""},
    {"ppo_clip_0.2_0.2/seq_mean_token_mean", kSeqMean},
    {"ppo_clip_0.2_0.2/seq_mean_token_mean_allN",
     "aggregation: AGGREGATION_SEQ_MEAN_TOKEN_MEAN count_masked_sequences: true"},
    {"ppo_clip_0.2_0.2/seq_mean_token_sum", "aggregation: AGGREGATION_SEQ_MEAN_TOKEN_SUM"},
    {"ppo_clip_0.2_0.2/const_norm", "aggregation: AGGREGATION_CONST_NORM"},
    {"ppo_clip_0.2_0.28/token_mean", "clip_low: 0.2 clip_high: 0.28"},
    {"ppo_clip_0.2_0.2_dual3/token_mean", "dual_clip: 3"},
    {"ppo_clip_0.2_0.2_dual1.5/token_mean", "dual_clip: 1.5"},
    {"ppo_two_sided_delta1.5/token_mean", "ratio_cap: 1.5"},
    {"r1_eps10/token_mean", "clip_low: 10"},
    {"gspo_3e-4_4e-4/seq_mean",
     "policy: POLICY_GSPO aggregation: AGGREGATION_SEQ_MEAN_TOKEN_MEAN clip_low: 3e-4 clip_high: "
     "4e-4"},
    {"gspo_0.2_0.2/seq_mean", "policy: POLICY_GSPO aggregation: AGGREGATION_SEQ_MEAN_TOKEN_MEAN"},
    {"cispo_lowoff_high0.28/token_mean", "policy: POLICY_CISPO clip_low: 1 clip_high: 0.28"},
    {"sapo_1_1.05/seq_mean", "policy: POLICY_SAPO aggregation: AGGREGATION_SEQ_MEAN_TOKEN_MEAN"},
    {"dppo_tv_0.2/token_mean", "policy: POLICY_DPPO_TV"},
    {"ppo_tis2/token_mean", "off_policy { recompute_old: true weight: WEIGHT_TOKEN_TRUNCATE }"},
    {"ppo_icepop_0.5_5/token_mean",
     "off_policy { recompute_old: true weight: WEIGHT_TOKEN_MASK weight_low: 0.5 }"},
    {"ppo_seq_tis2/token_mean",
     "off_policy { recompute_old: true weight: WEIGHT_SEQUENCE_TRUNCATE }"},
    {"ppo_georeject_0.97_1.02_numerator_only/token_mean",
     "off_policy { recompute_old: true geo_low: 0.97 geo_high: 1.02 }"},
    {"ppo_georeject_0.97_1.02_mask_in_denominator/token_mean",
     "off_policy { recompute_old: true geo_low: 0.97 geo_high: 1.02 drop_rejected: true }"},
    {"ppo_truncated_seq2_masked/token_mean", "", "", MaskSequence2},
    {"ppo_truncated_seq2_masked/seq_mean_token_mean", kSeqMean, "", MaskSequence2},
    {"onpolicy_identity/token_mean", kToken, "", OnPolicy},
    {"reinforce/token_mean", "policy: POLICY_REINFORCE"},
    {"v32_beta0.01_delta0.05/seq_mean_allN",
     "aggregation: AGGREGATION_SEQ_MEAN_TOKEN_MEAN count_masked_sequences: true "
     "off_policy { sequence_mask_delta: 0.05 }",
     "beta: 0.01 estimator: ESTIMATOR_UNBIASED", V32},
    {"v32_beta0.01_delta0.5/seq_mean_allN",
     "aggregation: AGGREGATION_SEQ_MEAN_TOKEN_MEAN count_masked_sequences: true "
     "off_policy { sequence_mask_delta: 0.5 }",
     "beta: 0.01 estimator: ESTIMATOR_UNBIASED", V32},
    {"grpo_deepseekmath_beta0.04/seq_mean_token_mean", kSeqMean, "beta: 0.04"},
    {"decoupled_ppo_cap5/token_mean",
     "off_policy { recompute_old: true weight: WEIGHT_TOKEN_MASK }", "", Prox},
    {"decoupled_ppo_cap1.05/token_mean",
     "off_policy { recompute_old: true weight: WEIGHT_TOKEN_MASK weight_high: 1.05 }", "", Prox},
};

TEST_CASE("policy losses equal the goldens in value and in every token's coefficient", "[train]") {
  std::set<std::string> done;
  for (const Case& c : kCases) {
    v1::LossSpec loss;
    v1::KlSpec kl;
    REQUIRE(google::protobuf::TextFormat::ParseFromString(c.loss, &loss));
    REQUIRE(google::protobuf::TextFormat::ParseFromString(c.kl, &kl));
    Minibatch b = FixtureF1(loss.off_policy().recompute_old());
    c.change(&b);
    const auto got = Run(testing::MakeLoss(loss, kl), b);
    CAPTURE(c.name);
    REQUIRE_OK(got.status);
    const auto& want = Golden()["policy_loss_F1"]["cases"][c.name];
    CAPTURE(got.loss, want["loss"].get<double>());
    CHECK(Near(got.loss, want["loss"]));
    CHECK(Near(got.c, want["dloss_dlogp"].get<Rows>()));
    CHECK(Near(got.stats.sums[LossStats::kLoss], want["loss"]));
    done.insert(c.name);
  }
  CHECK(done.size() == Golden()["policy_loss_F1"]["cases"].size());
}

TEST_CASE("off-policy weights equal the goldens", "[train]") {
  const std::pair<const char*, const char*> weights[] = {
      {"w_tis2", "recompute_old: true weight: WEIGHT_TOKEN_TRUNCATE"},
      {"w_icepop", "recompute_old: true weight: WEIGHT_TOKEN_MASK weight_low: 0.5"},
      {"w_seqtis2", "recompute_old: true weight: WEIGHT_SEQUENCE_TRUNCATE"}};
  for (const auto& [name, text] : weights) {
    v1::LossSpec loss;
    REQUIRE(google::protobuf::TextFormat::ParseFromString(text, loss.mutable_off_policy()));
    const auto got = Run(testing::MakeLoss(loss), FixtureF1());
    REQUIRE_OK(got.status);
    Rows weight;
    for (const auto& p : got.prepared) weight.push_back(p.weight);
    CAPTURE(name);
    CHECK(Near(weight, Golden()["policy_loss_F1"]["fixture"][name].get<Rows>()));
  }
}

}  // namespace
}  // namespace hone
