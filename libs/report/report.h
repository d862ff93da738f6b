#pragma once

// One run as one HTML page: a single file without scripts, fonts or pictures from elsewhere, to be
// opened from disk, mailed or printed. Reads only what it is given; knows no files and no network.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "proto/hone/v1/run.pb.h"
#include "proto/hone/v1/trajectory.pb.h"

namespace hone {

// Everything but `run` may be empty; the page then says that it was not measured.
struct ReportData {
  v1::Run run;
  std::vector<v1::StepMetrics> steps;  // any order; a step that comes twice: the later one counts
  std::vector<v1::Evaluation> evaluations;  // any order; unfinished and moved ones are left out
  std::vector<v1::Group> first_groups;      // samples of an early step ...
  std::vector<v1::Group> last_groups;  // ... and of a late one; same prompt ids stand side by side
  // process ("learner", "rollout-1") -> state -> seconds. The states of a process partition its
  // life.
  std::map<std::string, std::map<std::string, double>> ledgers;
  std::string machine;  // "2 x Xeon 8481C, 8 GiB"
  // Training issues per state name in lower case ("covered", "dropped"), over all stages.
  std::map<std::string, int64_t> issues;
  std::string model;  // "216 k parameters, 8 experts"; empty: the model's folder name
  std::string notes;  // paragraphs for the reader, split by empty lines; plain text
};

// The page, UTF-8. Any text in `data` may be hostile: it is shown as text. Never fails.
// Thread-safe.
std::string RenderReport(const ReportData& data);

}  // namespace hone
