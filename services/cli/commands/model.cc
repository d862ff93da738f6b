// hone model inspect | convert | verify

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "libs/base/status.h"
#include "libs/checkpoint/hf_reader.h"
#include "libs/loop/model_folder.h"
#include "libs/model/load.h"
#include "libs/model/save.h"
#include "libs/model/tensor_map.h"
#include "libs/tokenizer/tokenizer.h"
#include "services/cli/cli.h"
#include "services/cli/context.h"
#include "services/cli/memory_report.h"
#include "services/cli/model_check.h"

namespace hone::cli {
namespace {

struct Flags {
  std::string model, to, adapter, precision = "bf16";
  MemoryUse use = DefaultMemoryUse();
  double max_shard_gb = 5;
  ModelCheckOptions check;
  std::string checkpointing = "none";
  v1::Device device = v1::DEVICE_AUTO;
  bool no_generation = false;
};

DType DTypeOf(const std::string& precision) {
  return precision == "bf16" ? DType::kBF16 : DType::kF32;
}

// "MLA, 128 heads, latent 512 + 64 rope, ...; 61 layers of width 7168; ..."
std::string Describe(const ModelConfig& c) {
  std::string text;
  if (c.attention == ModelConfig::Attention::kMla) {
    absl::StrAppend(&text, "MLA, ", c.heads, " heads, latent ", c.kv_lora_rank, " + ", c.rope_dim);
    if (c.q_lora_rank > 0) absl::StrAppend(&text, ", q-LoRA ", c.q_lora_rank);
  } else {
    absl::StrAppend(&text, c.heads == c.kv_heads ? "MHA, " : "GQA, ", c.heads, " heads of ",
                    c.head_dim, " on ", c.kv_heads);
    if (c.qk_norm) absl::StrAppend(&text, ", q/k norm");
    if (c.input_bias) absl::StrAppend(&text, c.output_bias ? ", q/k/v/o bias" : ", q/k/v bias");
  }
  absl::StrAppend(&text, "; ", c.layers, " layers of width ", c.hidden);
  const auto sparse = std::count(c.sparse.begin(), c.sparse.end(), true);
  if (sparse > 0)
    absl::StrAppend(
        &text, ", ", sparse, " with ", c.moe.experts_per_token, " of ", c.moe.experts, " experts",
        c.moe.shared_width > 0 ? absl::StrCat(" and ", c.moe.shared_width / c.moe.width, " shared")
                               : "",
        c.moe.scoring == kernels::Scoring::kSigmoid ? ", sigmoid" : ", softmax", " gate");
  if (c.mtp_layers > 0)
    absl::StrAppend(&text, "; ", c.mtp_layers, " multi-token prediction layers carried through");
  static constexpr const char* kRopes[] = {"", "linear ", "llama3 ", "YaRN "};
  absl::StrAppend(&text, "; ", kRopes[static_cast<int>(c.rope.kind)], "rope theta ", c.rope.theta);
  if (c.rope.kind != ModelConfig::Rope::Kind::kDefault)
    absl::StrAppend(&text, " factor ", c.rope.factor);
  return absl::StrCat(text, c.tied ? "; tied embedding" : "");
}

// "BF16", or "F8_E4M3 95 %, BF16 5 %".
std::string StoredAs(const HfReader& reader, int64_t total) {
  std::map<std::string, int64_t> bytes;
  for (const HfTensor& t : reader.tensors()) bytes[std::string(Name(t.dtype))] += t.bytes;
  std::vector<std::pair<int64_t, std::string>> order;
  for (const auto& [name, n] : bytes) order.emplace_back(-n, name);
  std::sort(order.begin(), order.end());
  if (order.size() == 1) return order[0].second;
  return absl::StrJoin(order, ", ", [&](std::string* out, const auto& part) {
    absl::StrAppendFormat(out, "%s %.3g %%", part.second,
                          -100.0 * static_cast<double>(part.first) / static_cast<double>(total));
  });
}

absl::StatusOr<v1::ModelInfo> InfoOf(const Flags& flags) {
  const std::string folder = ModelFolderOf(flags.model);
  HONE_ASSIGN_OR_RETURN(const ModelConfig config, LoadModelConfig(folder));
  v1::ModelInfo info;
  info.set_path(folder);
  info.set_model_type(config.model_type);
  info.set_architecture(Describe(config));
  info.set_parameters(std::llround(config.ParameterCount()));
  info.set_active_parameters(std::llround(config.ParameterCount(/*active=*/true)));
  info.set_vocabulary(config.vocab);
  info.set_max_positions(config.max_positions);
  MemoryUse use = flags.use;
  use.dtype = DTypeOf(flags.precision);
  if (flags.checkpointing == "feed_forward")
    use.checkpointing = ActivationCheckpointing::kFeedForward;
  if (flags.checkpointing == "layer") use.checkpointing = ActivationCheckpointing::kLayer;
  use.scored_tokens = use.micro_batch_tokens;
  *info.mutable_memory() = MemoryOf(config, use);
  if (const std::string tokenizer = TokenizerPath(folder); !tokenizer.empty()) {
    HONE_ASSIGN_OR_RETURN(const auto loaded, Tokenizer::Load(tokenizer));
    info.set_tokenizer_vocabulary(loaded->vocab_size());
  }
  const absl::StatusOr<HfReader> reader = HfReader::Open(folder);
  if (absl::IsNotFound(reader.status())) return info;  // a model to be drawn at random
  if (!reader.ok()) return reader.status();
  HONE_ASSIGN_OR_RETURN(const TensorMap map, MapTensors(*reader, config, ParameterLayout(config)));
  std::set<std::string> files;
  for (const HfTensor& t : reader->tensors()) {
    info.set_stored_bytes(info.stored_bytes() + t.bytes);
    files.insert(t.file);
  }
  info.set_files(static_cast<int32_t>(files.size()));
  info.set_stored_as(StoredAs(*reader, info.stored_bytes()));
  info.set_carried_tensors(static_cast<int64_t>(map.carried.size()));
  for (const HfTensor& t : map.carried) info.set_carried_bytes(info.carried_bytes() + t.bytes);
  return info;
}

absl::StatusOr<int> Inspect(Context& context, const Flags& flags) {
  HONE_ASSIGN_OR_RETURN(const v1::ModelInfo info, InfoOf(flags));
  if (context.output.machine()) {
    context.output.Message(info);
    return kExitOk;
  }
  const auto line = [&](const std::string& name, const std::string& value) {
    context.output.Line(absl::StrFormat("%-13s %s", name, value));
  };
  line("model", absl::StrCat(info.model_type(), ": ", info.architecture()));
  line("parameters", info.active_parameters() == info.parameters()
                         ? Grouped(info.parameters())
                         : absl::StrCat(Grouped(info.parameters()), ", of which a token uses ",
                                        Grouped(info.active_parameters())));
  line("vocabulary",
       absl::StrCat(Grouped(info.vocabulary()), " rows, ",
                    info.tokenizer_vocabulary() == 0
                        ? "no tokenizer"
                        : absl::StrCat(Grouped(info.tokenizer_vocabulary()), " ids")));
  line("context", absl::StrCat(Grouped(info.max_positions()), " tokens"));
  line("weights",
       info.stored_bytes() == 0
           ? "none: random_init"
           : absl::StrCat(Bytes(static_cast<double>(info.stored_bytes())), " in ", info.files(),
                          info.files() == 1 ? " file, " : " files, ", info.stored_as()));
  if (info.carried_tensors() > 0)
    line("carried", absl::StrCat(info.carried_tensors(), " tensors, ",
                                 Bytes(static_cast<double>(info.carried_bytes()))));
  context.output.Line("");
  PrintMemory(context.output, info.memory());
  return kExitOk;
}

// `path`, or the folder `adapter` in it when `path` is a checkpoint of a run with model.lora.
std::string AdapterFolderOf(const std::string& path) {
  const std::string inner = path + "/adapter";
  return std::filesystem::exists(inner + "/adapter_config.json") ? inner : path;
}

absl::StatusOr<int> Convert(Context& context, const Flags& flags) {
  const auto shard = static_cast<int64_t>(flags.max_shard_gb * 1e9);
  HONE_ASSIGN_OR_RETURN(const auto folder, FolderWriter::Create(flags.to));
  HONE_RETURN_IF_ERROR(ConvertModel(*folder, "", ModelFolderOf(flags.model),
                                    DTypeOf(flags.precision), {.max_shard_bytes = shard},
                                    AdapterFolderOf(flags.adapter)));
  HONE_RETURN_IF_ERROR(folder->Commit());
  HONE_ASSIGN_OR_RETURN(const HfReader written, HfReader::Open(flags.to));
  int64_t bytes = 0;
  for (const HfTensor& t : written.tensors()) bytes += t.bytes;
  context.output.Line(absl::StrCat(flags.to, ": ", written.tensors().size(), " tensors, ",
                                   Bytes(static_cast<double>(bytes))));
  return kExitOk;
}

absl::StatusOr<int> Verify(Context& context, Flags flags) {
  flags.check.dtype = DTypeOf(flags.precision);
  flags.check.generate = !flags.no_generation;
  if (flags.check.generate) {
    HONE_ASSIGN_OR_RETURN(flags.check.table, TableFor(flags.device));
    if (flags.check.dtype == DType::kBF16 && !flags.check.table->has_bf16())
      return absl::FailedPreconditionError(
          "--precision bf16 cannot generate on this processor; use f32 or --no-generation");
  }
  if (flags.check.threads == 0)
    flags.check.threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const v1::ModelCheckReport report = CheckModel(flags.model, flags.check);
  if (context.output.machine()) {
    context.output.Message(report);
  } else {
    Table table({"CHECK", "RESULT", "WHAT"});
    for (const v1::ModelCheck& check : report.checks())
      table.Add({check.name(),
                 check.passed()    ? "ok"
                 : check.skipped() ? "skipped"
                                   : "FAILED",
                 check.detail()});
    table.Print(context.output);
  }
  return report.passed() ? kExitOk : kExitError;
}

void AddPrecision(CLI::App& command, const std::shared_ptr<Flags>& flags, const std::string& what) {
  command.add_option("--precision", flags->precision, what)
      ->check(CLI::IsMember({"f32", "bf16"}))
      ->capture_default_str();
}

}  // namespace

void AddModelCommands(CLI::App& app, Context& context) {
  CLI::App* model = app.add_subcommand("model", "look at, convert and check model folders");
  model->require_subcommand(1);
  constexpr char kFolder[] = "Hugging Face folder, or a checkpoint of a run";
  {
    const auto flags = std::make_shared<Flags>();
    CLI::App* command =
        AddCommand(*model, context, "inspect", "architecture, sizes, and memory in use",
                   [flags](Context& c) { return Inspect(c, *flags); });
    command->add_option("model", flags->model, kFolder)->required();
    AddPrecision(*command, flags, "of weights, activations and cache");
    const auto tokens = CLI::Range(int64_t{1}, int64_t{1} << 40);
    command->add_option("--cache-tokens", flags->use.cache_tokens, "rows of the key/value cache")
        ->check(tokens)
        ->capture_default_str();
    command->add_option("--batch-tokens", flags->use.batch_tokens, "of one generating pass")
        ->check(tokens)
        ->capture_default_str();
    command
        ->add_option("--micro-batch-tokens", flags->use.micro_batch_tokens, "of one training pass")
        ->check(tokens)
        ->capture_default_str();
    command
        ->add_option("--activation-checkpointing", flags->checkpointing,
                     "what training computes twice to take less memory")
        ->check(CLI::IsMember({"none", "feed_forward", "layer"}))
        ->capture_default_str();
    command->add_flag("--reference", flags->use.reference, "with a reference model for KL");
  }
  {
    const auto flags = std::make_shared<Flags>();
    CLI::App* command =
        AddCommand(*model, context, "convert",
                   "write it again: another dtype, other shards, with an adapter merged",
                   [flags](Context& c) { return Convert(c, *flags); });
    command->add_option("model", flags->model, kFolder)->required();
    command->add_option("to", flags->to, "the new folder")->required();
    command->add_option("--adapter", flags->adapter,
                        "merge it: PEFT folder, or a checkpoint of a run with model.lora");
    AddPrecision(*command, flags, "of the weights");
    command->add_option("--max-shard-gb", flags->max_shard_gb, "largest file, 1e9 bytes")
        ->check(CLI::Range(1e-6, 1e6))
        ->capture_default_str();
  }
  {
    const auto flags = std::make_shared<Flags>();
    flags->precision = "f32";
    flags->check.threads = 0;
    CLI::App* command =
        AddCommand(*model, context, "verify", "check files, shapes, values, tokenizer, generation",
                   [flags](Context& c) { return Verify(c, *flags); });
    command->add_option("model", flags->model, kFolder)->required();
    AddPrecision(*command, flags, "of the generation");
    command->add_flag("--no-generation", flags->no_generation,
                      "do not load the weights, only read them through");
    command->add_option("--prompt", flags->check.prompt, "to continue; any, if not given");
    command->add_option("--tokens", flags->check.new_tokens, "to generate")
        ->check(CLI::Range(1, 4096))
        ->capture_default_str();
    AddDeviceOption(*command, flags->device);
    command->add_option("--threads", flags->check.threads, "0: one per core")
        ->check(CLI::Range(0, 1024));
  }
}

}  // namespace hone::cli
