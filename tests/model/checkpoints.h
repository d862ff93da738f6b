#pragma once

// Checkpoint folders that a test changes before it writes them.

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "libs/checkpoint/hf_reader.h"
#include "nlohmann/json.hpp"
#include "tests/testing/test.h"

namespace hone {

struct Checkpoint {
  struct Tensor {
    std::string dtype;
    std::vector<int64_t> shape;
    std::string bytes;
  };

  static Checkpoint Read(const std::string& dir) {
    Checkpoint c;
    std::ifstream in(dir + "/config.json");
    c.config = nlohmann::json::parse(in);
    const auto reader = HfReader::Open(dir);
    REQUIRE_OK(reader);
    for (const HfTensor& t : reader->tensors()) {
      Tensor& to = c.tensors[t.name];
      to.dtype = std::string(Name(t.dtype));
      to.shape = t.shape;
      to.bytes.resize(static_cast<size_t>(t.bytes));
      REQUIRE_OK(reader->ReadRaw(t.name, 0, to.bytes.data(), to.bytes.size()));
    }
    return c;
  }

  void Add(const std::string& name, const std::string& dtype, std::vector<int64_t> shape,
           std::string bytes) {
    tensors[name] = {dtype, std::move(shape), std::move(bytes)};
  }

  // Stacks the experts of every layer as transformers does with save_original_format=False.
  void StackExperts() {
    std::map<std::string, Tensor> stacked;
    for (auto it = tensors.begin(); it != tensors.end();) {
      const size_t at = it->first.find(".mlp.experts.");
      if (at == std::string::npos) {
        ++it;
        continue;
      }
      const std::string prefix = it->first.substr(0, at + 13);
      for (int e = 0; tensors.count(prefix + std::to_string(e) + ".up_proj.weight") > 0; ++e) {
        const auto take = [&](const char* which) {
          const auto node = tensors.find(prefix + std::to_string(e) + "." + which + ".weight");
          Tensor t = std::move(node->second);
          tensors.erase(node);
          return t;
        };
        const Tensor gate = take("gate_proj"), up = take("up_proj"), down = take("down_proj");
        Tensor& both = stacked[prefix + "gate_up_proj"];
        both.dtype = gate.dtype;
        both.shape = {e + 1, 2 * gate.shape[0], gate.shape[1]};
        both.bytes += gate.bytes + up.bytes;
        Tensor& one = stacked[prefix + "down_proj"];
        one.dtype = down.dtype;
        one.shape = {e + 1, down.shape[0], down.shape[1]};
        one.bytes += down.bytes;
      }
      it = tensors.begin();
    }
    tensors.merge(stacked);
  }

  void Write(const std::string& dir) const {
    std::filesystem::create_directories(dir);
    std::ofstream(dir + "/config.json") << config.dump();
    nlohmann::json header = nlohmann::json::object();
    std::string data;
    for (const auto& [name, t] : tensors) {
      header[name] = {{"dtype", t.dtype},
                      {"shape", t.shape},
                      {"data_offsets", {data.size(), data.size() + t.bytes.size()}}};
      data += t.bytes;
    }
    const std::string text = header.dump();
    std::string length(8, '\0');
    for (int i = 0; i < 8; ++i) length[i] = static_cast<char>(text.size() >> (8 * i) & 0xff);
    std::ofstream(dir + "/model.safetensors", std::ios::binary) << length << text << data;
  }

  nlohmann::json config;
  std::map<std::string, Tensor> tensors;
};

}  // namespace hone
