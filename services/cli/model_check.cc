#include "services/cli/model_check.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/checkpoint/checkpoint.h"
#include "libs/checkpoint/hf_reader.h"
#include "libs/engine/engine.h"
#include "libs/loop/model_folder.h"
#include "libs/model/load.h"
#include "libs/model/tensor_map.h"
#include "libs/tokenizer/tokenizer.h"
#include "services/cli/memory_report.h"

namespace hone::cli {
namespace {

// Letters, digits, spaces, a newline, and characters of two, three and four bytes.
constexpr char kSample[] =
    "The answer is 42.\n\tx = (1 + 2) * 3; caf\u00e9 \u4f60\u597d \U0001f600";

class Checker {
 public:
  Checker(std::string path, const ModelCheckOptions& options)
      : path_(std::move(path)), folder_(ModelFolderOf(path_)), options_(options) {}

  v1::ModelCheckReport Run() {
    report_.set_path(path_);
    report_.set_passed(true);
    Step("manifest", [&] { return Manifest(); });
    Step("config", [&] { return Config(); });
    if (!config_) return std::move(report_);
    const bool tensors = Step("tensors", [&] { return Tensors(); });
    const bool values = tensors && Step("values", [&] { return Values(); });
    const bool tokenizer = Step("tokenizer", [&] { return TokenizerFits(); });
    if (values && tokenizer) Step("generation", [&] { return Generation(); });
    return std::move(report_);
  }

 private:
  struct Found {
    std::string detail;
    bool skipped = false;
  };

  template <typename F>
  bool Step(const std::string& name, F check) {
    const absl::StatusOr<Found> found = check();
    v1::ModelCheck& c = *report_.add_checks();
    c.set_name(name);
    c.set_passed(found.ok() && !found->skipped);
    c.set_skipped(found.ok() && found->skipped);
    c.set_detail(found.ok() ? found->detail : std::string(found.status().message()));
    if (!found.ok()) report_.set_passed(false);
    return found.ok();
  }

  absl::StatusOr<Found> Manifest() {
    if (folder_ == path_) return Found{"no checkpoint of a run", true};
    HONE_ASSIGN_OR_RETURN(const hone::Checkpoint checkpoint, hone::Checkpoint::Open(path_));
    int64_t bytes = 0;
    for (const FileRecord& file : checkpoint.files()) bytes += file.bytes;
    return Found{absl::StrCat(checkpoint.files().size(), " files, ",
                              Bytes(static_cast<double>(bytes)), ", step ", checkpoint.step())};
  }

  absl::StatusOr<Found> Config() {
    HONE_ASSIGN_OR_RETURN(config_, LoadModelConfig(folder_));
    return Found{absl::StrCat(config_->model_type, ", ",
                              Grouped(std::llround(config_->ParameterCount())), " parameters")};
  }

  absl::StatusOr<Found> Tensors() {
    layout_.emplace(*config_);
    absl::StatusOr<HfReader> reader = HfReader::Open(folder_);
    if (!reader.ok()) return reader.status();
    reader_.emplace(*std::move(reader));
    HONE_ASSIGN_OR_RETURN(map_, MapTensors(*reader_, *config_, *layout_));
    std::string detail = absl::StrCat(reader_->tensors().size(), " tensors");
    if (!map_.carried.empty())
      absl::StrAppend(&detail, ", of which ", map_.carried.size(), " are carried through");
    for (const std::string& warning : reader_->warnings()) absl::StrAppend(&detail, "; ", warning);
    return Found{std::move(detail)};
  }

  absl::StatusOr<Found> Values() {
    if (options_.generate) {
      weights_ = std::make_shared<Weights>(*layout_, options_.dtype, *options_.table);
      HONE_RETURN_IF_ERROR(LoadWeights(*reader_, *config_, *layout_, *weights_));
      return Found{"finite"};
    }
    constexpr int64_t kChunk = int64_t{1} << 20;
    std::vector<float> part(static_cast<size_t>(kChunk));
    const auto read = [&](const std::vector<Parameter>& parameters,
                          const std::vector<TensorMap::Place>& places) -> absl::Status {
      for (size_t i = 0; i < parameters.size(); ++i)
        for (int64_t at = 0; at < parameters[i].size(); at += kChunk)
          HONE_RETURN_IF_ERROR(reader_->ReadElements(
              places[i].tensor, places[i].first + at, std::min(kChunk, parameters[i].size() - at),
              DType::kF32, part.data(), {.require_finite = true}));
      return absl::OkStatus();
    };
    HONE_RETURN_IF_ERROR(read(layout_->parameters(), map_.parameters));
    HONE_RETURN_IF_ERROR(read(layout_->biases(), map_.biases));
    return Found{"finite"};
  }

  absl::StatusOr<Found> TokenizerFits() {
    const std::string path = TokenizerPath(folder_);
    if (path.empty()) return Found{"none", true};
    HONE_ASSIGN_OR_RETURN(tokenizer_, Tokenizer::Load(path));
    const int32_t size = tokenizer_->vocab_size();
    if (size > config_->vocab)
      return absl::InvalidArgumentError(absl::StrCat(
          path, " has ids up to ", size - 1, ", the embedding has only ", config_->vocab, " rows"));
    for (const int32_t id : config_->eos_ids)
      if (tokenizer_->Token(id).empty())
        return absl::InvalidArgumentError(
            absl::StrCat(path, " has no token for eos_token_id ", id, " of config.json"));
    // Small vocabularies may know few words, and normalisers may change spaces: worth a remark.
    const absl::StatusOr<std::vector<int32_t>> ids = tokenizer_->Encode(kSample);
    const bool lossless = ids.ok() && tokenizer_->Decode(*ids) == kSample;
    return Found{absl::StrCat(Grouped(size), " ids for ", Grouped(config_->vocab), " rows",
                              lossless ? "" : "; does not give every text back")};
  }

  absl::StatusOr<std::vector<int32_t>> Prompt() const {
    const std::vector<int32_t> any = {0};
    if (tokenizer_ == nullptr) return any;
    absl::StatusOr<std::vector<int32_t>> ids =
        tokenizer_->Encode(options_.prompt.empty() ? "Once upon a time" : options_.prompt,
                           {.parse_special = true, .add_special_tokens = true});
    if (options_.prompt.empty() && (!ids.ok() || ids->empty())) return any;
    if (ids.ok() && ids->empty()) return absl::InvalidArgumentError("the prompt has no tokens");
    return ids;
  }

  absl::StatusOr<Found> Generation() {
    if (!options_.generate) return Found{"not asked for", true};
    HONE_ASSIGN_OR_RETURN(const std::vector<int32_t> prompt, Prompt());
    const auto length = static_cast<int64_t>(prompt.size());
    // Scoring asks for room behind what it scores.
    const int64_t context = std::min(config_->max_positions, length + options_.new_tokens + 1);
    const int64_t new_tokens = context - length - 1;
    if (new_tokens < 1)
      return absl::InvalidArgumentError(
          absl::StrCat("the prompt has ", length, " tokens, the context only ", context));
    const Transformer transformer(*config_, context, {}, *options_.table);
    v1::Completion completion;
    Engine::Options engine_options{.threads = options_.threads,
                                   .max_sequences = 1,
                                   // Prompt and completion begin blocks of their own.
                                   .cache_tokens = 2 * (context + BlockAllocator::kBlockTokens),
                                   .dtype = options_.dtype};
    if (tokenizer_ != nullptr)
      engine_options.vocab = std::min<int64_t>(config_->vocab, tokenizer_->vocab_size());
    Engine engine(transformer, tokenizer_.get(), engine_options,
                  [&](const GroupRequest&, v1::Completion c) { completion = std::move(c); });
    engine.SetWeights(weights_, 0, InFlight::kAbort);
    GroupRequest request{.id = 1, .prompt = prompt};
    request.sampling.set_greedy(true);
    request.sampling.set_temperature(1);
    request.sampling.set_max_new_tokens(static_cast<int32_t>(new_tokens));
    HONE_RETURN_IF_ERROR(engine.Submit(request));
    while (engine.Step()) {
    }
    std::vector<int32_t> ids = prompt;
    ids.insert(ids.end(), completion.token_ids().begin(), completion.token_ids().end());
    HONE_ASSIGN_OR_RETURN(const std::vector<float> again, engine.Score(ids, 1));
    double sum = 0;
    for (int i = 0; i < completion.logprobs_size(); ++i) {
      const float got = completion.logprobs(i), want = again[prompt.size() - 1 + i];
      if (!(got == want))  // also for NaN
        return absl::InternalError(absl::StrCat("token ", i, " had log-probability ", got,
                                                " when it was sampled and ", want, " again"));
      sum += got;
    }
    const int n = completion.token_ids_size();
    std::string text =
        tokenizer_ == nullptr ? "" : absl::StrCat(": ", Printable(completion.text()));
    return Found{absl::StrCat(n, " greedy tokens, mean log-probability ", Number(sum / n, 3),
                              ", the same to the bit by teacher forcing", text)};
  }

  const std::string path_, folder_;
  const ModelCheckOptions& options_;
  v1::ModelCheckReport report_;
  std::optional<ModelConfig> config_;
  std::optional<ParameterLayout> layout_;
  std::optional<HfReader> reader_;
  TensorMap map_;
  std::shared_ptr<Weights> weights_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

}  // namespace

std::string ModelFolderOf(const std::string& path) {
  const std::string inner = path + "/hf";
  const bool checkpoint = !std::filesystem::exists(path + "/config.json") &&
                          std::filesystem::exists(inner + "/config.json");
  return checkpoint ? inner : path;
}

v1::ModelCheckReport CheckModel(const std::string& path, const ModelCheckOptions& options) {
  return Checker(path, options).Run();
}

}  // namespace hone::cli
