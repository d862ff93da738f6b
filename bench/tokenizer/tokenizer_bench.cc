// tokenizer_bench tokenizer.json text...: how fast text becomes ids and ids become text, on one
// thread. Texts are encoded line by line, as prompts come, and as one piece of up to 4 MiB.
// tokenizer_bench tokenizer.json --ids: the ids of texts from standard input, each ended by a zero
// byte; one line for each. against_reference.py compares them with the reference's.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "libs/tokenizer/tokenizer.h"

namespace {

double SecondsOf(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The fastest of five, in MB/s.
double Speed(size_t bytes, const std::function<void()>& work) {
  double best = 1e9;
  for (int i = 0; i < 5; ++i) best = std::min(best, SecondsOf(work));
  return static_cast<double>(bytes) / best / 1e6;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: tokenizer_bench tokenizer.json text... | --ids\n");
    return 2;
  }
  std::unique_ptr<hone::Tokenizer> tokenizer;
  const double load = SecondsOf([&] {
    auto loaded = hone::Tokenizer::Load(argv[1]);
    if (!loaded.ok()) {
      std::fprintf(stderr, "%s\n", loaded.status().ToString().c_str());
      std::exit(1);
    }
    tokenizer = *std::move(loaded);
  });
  if (std::string(argv[2]) == "--ids") {
    for (std::string text; std::getline(std::cin, text, '\0');) {
      const auto ids = tokenizer->Encode(text, {.parse_special = true}).value();
      for (const int32_t id : ids) std::printf("%d ", id);
      std::printf("\n");
    }
    return 0;
  }
  std::printf("%s: loaded in %.3f s\n", argv[1], load);
  for (int i = 2; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(file)), {});
    if (text.size() > size_t{4} << 20) text.resize(text.rfind('\n', size_t{4} << 20) + 1);
    std::vector<std::string> lines;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
      lines.push_back(text.substr(at, end - at));
      at = end;
    }
    size_t tokens = 0;
    const double by_line = Speed(text.size(), [&] {
      tokens = 0;
      for (const std::string& line : lines) tokens += tokenizer->Encode(line).value().size();
    });
    std::vector<int32_t> ids;
    const double whole = Speed(text.size(), [&] { ids = tokenizer->Encode(text).value(); });
    std::string back;
    const double decode = Speed(text.size(), [&] { back = tokenizer->Decode(ids); });
    std::printf(
        "%s: %zu bytes, %zu lines, %zu tokens; encode by line %.1f MB/s, whole %.1f MB/s; "
        "decode %.1f MB/s%s\n",
        argv[i], text.size(), lines.size(), tokens, by_line, whole, decode,
        back == text ? "" : " (another text)");
  }
  return 0;
}
