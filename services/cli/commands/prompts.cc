// hone prompts upload | list | get | delete

#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "services/cli/cli.h"
#include "services/cli/context.h"
#include "services/cli/prompt_upload.h"

namespace hone::cli {
namespace {

void Print(Output& output, const google::protobuf::RepeatedPtrField<v1::PromptSet>& sets) {
  Table table({"PROMPT SET", "PROMPTS", "BYTES", "STATE", "CREATED", "SHA256"});
  for (const v1::PromptSet& s : sets)
    table.Add({s.id(), absl::StrCat(s.prompts()), absl::StrCat(s.committed_bytes()),
               s.sealed() ? "sealed" : "open", Time(s.create_time()), s.sha256().substr(0, 12)});
  table.Print(output);
}

absl::StatusOr<int> List(Context& context) {
  HONE_ASSIGN_OR_RETURN(const Coordinator c, context.Connect());
  v1::ListPromptSetsResponse all;
  v1::ListPromptSetsRequest request;
  do {
    HONE_ASSIGN_OR_RETURN(v1::ListPromptSetsResponse page,
                          Call(context, c, *c.prompts, &PromptStub::ListPromptSets, request));
    for (v1::PromptSet& s : *page.mutable_prompt_sets()) all.add_prompt_sets()->Swap(&s);
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  if (context.output.machine())
    context.output.Messages(all, all.prompt_sets());
  else
    Print(context.output, all.prompt_sets());
  return kExitOk;
}

absl::StatusOr<int> Get(Context& context, const std::string& id) {
  HONE_ASSIGN_OR_RETURN(const Coordinator c, context.Connect());
  v1::GetPromptSetRequest request;
  request.set_id(id);
  HONE_ASSIGN_OR_RETURN(const v1::GetPromptSetResponse got,
                        Call(context, c, *c.prompts, &PromptStub::GetPromptSet, request));
  if (context.output.machine()) {
    context.output.Message(got.prompt_set());
    return kExitOk;
  }
  google::protobuf::RepeatedPtrField<v1::PromptSet> one;
  *one.Add() = got.prompt_set();
  Print(context.output, one);
  return kExitOk;
}

absl::StatusOr<int> Delete(Context& context, const std::string& id) {
  HONE_ASSIGN_OR_RETURN(const Coordinator c, context.Connect());
  v1::DeletePromptSetRequest request;
  request.set_id(id);
  HONE_RETURN_IF_ERROR(
      Call(context, c, *c.prompts, &PromptStub::DeletePromptSet, request).status());
  context.output.Note(absl::StrCat("deleted prompt set ", id));
  return kExitOk;
}

struct UploadFlags {
  std::string file, id;
  bool seal = true;
};

absl::StatusOr<int> Upload(Context& context, const UploadFlags& flags) {
  HONE_ASSIGN_OR_RETURN(const v1::PromptSet set,
                        UploadPrompts(context, flags.file, flags.id, flags.seal));
  if (context.output.machine())
    context.output.Message(set);
  else
    context.output.Line(absl::StrCat(set.id(), ": ", Grouped(set.prompts()), " prompts, ",
                                     set.sealed() ? "sealed" : "open"));
  return kExitOk;
}

}  // namespace

void AddPromptsCommands(CLI::App& app, Context& context) {
  CLI::App* prompts = app.add_subcommand("prompts", "upload and manage prompt sets");
  prompts->require_subcommand(1);

  const auto upload = std::make_shared<UploadFlags>();
  CLI::App* command =
      AddCommand(*prompts, context, "upload", "make a prompt set of a file of JSON lines",
                 [upload](Context& c) { return Upload(c, *upload); });
  command->add_option("file", upload->file, "JSON lines: prompt, and what its scorers need")
      ->required();
  command->add_option("--set", upload->id, "id of the prompt set")->required();
  command->add_flag("--seal,!--no-seal", upload->seal,
                    "close the set, so that runs can use it (default), or leave it open");

  AddCommand(*prompts, context, "list", "all prompt sets", List);
  const auto id = std::make_shared<std::string>();
  AddCommand(*prompts, context, "get", "one prompt set", [id](Context& c) { return Get(c, *id); })
      ->add_option("set", *id, "id of the prompt set")
      ->required();
  AddCommand(*prompts, context, "delete", "remove a prompt set that no unfinished run uses",
             [id](Context& c) { return Delete(c, *id); })
      ->add_option("set", *id, "id of the prompt set")
      ->required();
}

}  // namespace hone::cli
