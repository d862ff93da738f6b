#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "tests/kernels/simulated/program.h"
#include "tests/kernels/simulated/ptx_text.h"

namespace hone::simulated {

void Stop(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::fputs("\nsimulated GPU: ", stderr);
  std::vfprintf(stderr, format, arguments);
  std::fputs("\n", stderr);
  va_end(arguments);
  std::fflush(nullptr);
  std::abort();
}

namespace {

class Reader {
 public:
  Reader(const std::string& text, std::map<std::string, Kernel>& kernels)
      : text_(text), kernels_(kernels) {}

  void ReadModule() {
    for (std::string word = Word(); !word.empty(); word = Word()) {
      if (word == ".version" || word == ".target" || word == ".address_size") {
        Word();
      } else if (word == ".entry") {
        ReadKernel();
      } else if (word == ".shared") {
        module_shared_.push_back(Until(';'));
      } else if (word == ".extern") {
        Until(';');  // the dynamic shared memory
      } else if (word != ".visible" && word != ".weak") {
        Stop("PTX line %d: unknown '%s'", line_, word.c_str());
      }
    }
  }

 private:
  struct Scope {
    int id;
    std::map<std::string, Register> registers;
    struct Range {  // %r<123>
      std::string prefix;
      Register first;
      int count;
    };
    std::vector<Range> ranges;
  };
  struct Branch {
    size_t instruction;
    std::string label;
    std::vector<int> scopes;  // innermost first
  };

  void SkipSpace() {
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\n') ++line_;
      if (IsSpace(text_[at_])) continue;
      if (text_.compare(at_, 2, "//") != 0) return;
      at_ = text_.find('\n', at_) - 1;
    }
  }
  std::string Word() {
    SkipSpace();
    const size_t begin = at_;
    while (at_ < text_.size() && !IsSpace(text_[at_]) &&
           std::strchr("(){}[],;", text_[at_]) == nullptr)
      ++at_;
    return text_.substr(begin, at_ - begin);
  }
  std::string Until(char end) {
    const size_t begin = at_;
    for (; at_ < text_.size() && text_[at_] != end; ++at_) line_ += text_[at_] == '\n';
    return text_.substr(begin, at_++ - begin);
  }

  void AddShared(const std::string& declaration) {
    const Variable v(declaration);
    kernel_->static_shared_bytes = AlignUp(kernel_->static_shared_bytes, v.align);
    addresses_[v.name] = kSharedBase + static_cast<uint64_t>(kernel_->static_shared_bytes);
    kernel_->static_shared_bytes += v.bytes;
  }

  void ReadKernel() {
    const std::string name = Word();
    kernel_ = &kernels_[name];
    *kernel_ = Kernel{.name = name};
    labels_.clear();
    branches_.clear();
    addresses_.clear();
    literals_.clear();
    SkipSpace();
    ++at_;  // (
    for (const std::string& parameter : SplitKeepingSpace(Until(')'))) {
      const Variable v(parameter);
      kernel_->parameter_bytes = AlignUp(kernel_->parameter_bytes, v.align);
      addresses_[v.name] = kParameterWindow + static_cast<uint64_t>(kernel_->parameter_bytes);
      kernel_->parameters.push_back({kernel_->parameter_bytes, v.bytes});
      kernel_->parameter_bytes += v.bytes;
    }
    for (SkipSpace(); text_[at_] != '{'; SkipSpace()) {
      const std::string directive = Word();
      if (directive == ".maxntid") {
        kernel_->max_threads = std::atoi(Word().c_str());
        for (SkipSpace(); text_[at_] == ','; SkipSpace()) {
          ++at_;
          kernel_->max_threads *= std::atoi(Word().c_str());
        }
      } else {
        Word();  // .minnctapersm and its like concern the assembler
      }
    }
    ++at_;
    OpenScope();
    for (const std::string& declaration : module_shared_) AddShared(declaration);
    while (!scopes_.empty()) ReadStatement();
    for (const Branch& b : branches_) {
      int& target = kernel_->code[b.instruction].target;
      for (size_t i = 0; target < 0 && i < b.scopes.size(); ++i)
        if (const auto it = labels_.find({b.scopes[i], b.label}); it != labels_.end())
          target = static_cast<int>(it->second);
      if (target < 0) Stop("%s: no label %s", name.c_str(), b.label.c_str());
    }
    kernel_->code.push_back({.kind = Kind::kReturn, .text = "the end"});
  }
  static std::vector<std::string> SplitKeepingSpace(const std::string& text) {
    std::vector<std::string> parts;
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find(',', begin), text.size());
      if (text.find(".param", begin) < end) parts.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    return parts;
  }

  void OpenScope() { scopes_.push_back({next_scope_++, {}, {}}); }

  void ReadStatement() {
    SkipSpace();
    const char first = text_[at_];
    if (first == '{') {
      ++at_;
      OpenScope();
      return;
    }
    if (first == '}') {
      ++at_;
      scopes_.pop_back();
      return;
    }
    if (first == ';') {
      ++at_;
      return;
    }
    size_t end = at_;
    while (std::isalnum(static_cast<unsigned char>(text_[end])) || text_[end] == '_' ||
           text_[end] == '$')
      ++end;
    if (end > at_ && text_[end] == ':' && text_[end + 1] != ':') {
      labels_[{scopes_.back().id, text_.substr(at_, end - at_)}] = kernel_->code.size();
      at_ = end + 1;
      return;
    }
    if (first != '.') {
      const int line = line_;
      ReadInstruction(Until(';'), line);
      return;
    }
    const std::string directive = Word();
    if (directive == ".reg") {
      const std::string type = Word();
      for (const std::string& name : Split(Until(';'), ",")) Declare(type.substr(1), name);
      return;
    }
    const std::string rest = Until(';');
    if (directive == ".shared") {
      AddShared(rest);
    } else if (directive == ".local") {
      const Variable v(rest);
      kernel_->local_bytes = AlignUp(kernel_->local_bytes, v.align);
      addresses_[v.name] = static_cast<uint64_t>(kernel_->local_bytes);
      kernel_->local_bytes += v.bytes;
    } else if (directive != ".pragma" && directive != ".loc") {
      Stop("PTX line %d: unknown '%s'", line_, directive.c_str());
    }
  }

  Register New(File file, int count = 1) {
    int& registers = file == File::kWord   ? kernel_->words
                     : file == File::kLong ? kernel_->longs
                                           : kernel_->predicates;
    registers += count;
    return {file, registers - count};
  }
  void Declare(const std::string& type, const std::string& name) {
    const File file = FileOf(type);
    const size_t bracket = name.find('<');
    if (bracket == std::string::npos) {
      scopes_.back().registers[name] = New(file);
    } else {
      const int count = std::atoi(name.c_str() + bracket + 1);
      scopes_.back().ranges.push_back({name.substr(0, bracket), New(file, count), count});
    }
  }
  Register Find(const std::string& name) const {
    for (size_t i = scopes_.size(); i-- > 0;) {
      const Scope& scope = scopes_[i];
      if (const auto it = scope.registers.find(name); it != scope.registers.end())
        return it->second;
      for (const Scope::Range& r : scope.ranges) {
        if (name.compare(0, r.prefix.size(), r.prefix) != 0) continue;
        const std::string number = name.substr(r.prefix.size());
        if (number.empty() || number.find_first_not_of("0123456789") != std::string::npos) continue;
        return {r.first.file, r.first.index + std::atoi(number.c_str())};
      }
    }
    return {};
  }
  Register Starting(File file, int source, uint64_t number) {
    const auto [it, fresh] = literals_.insert({{file, source, number}, {}});
    if (fresh) {
      it->second = New(file);
      kernel_->initial.push_back({it->second, source, number});
    }
    return it->second;
  }
  Register Operand(std::string text, File file, const Instruction& i) {
    if (text == "_") return {};
    const bool negated = text[0] == '!';
    if (negated) text.erase(0, 1);
    if (Register r = Find(text); r.file != File::kNone) {
      r.negated = negated;
      return r;
    }
    static const char* const kVectors[] = {"%tid.", "%ntid.", "%ctaid.", "%nctaid."};
    for (int v = 0; v < 4; ++v)
      if (text.compare(0, std::strlen(kVectors[v]), kVectors[v]) == 0)
        return Starting(File::kWord, Initial::kTid + 3 * v + (text.back() - 'x'), 0);
    if (text == "%laneid") return Starting(File::kWord, Initial::kLane, 0);
    if (text.find("hone_dynamic_shared") != std::string::npos)
      return Starting(file, Initial::kDynamicShared, 0);
    if (IsNumber(text)) {
      const uint64_t bits = Number(text);
      return Starting(file, Initial::kNumber, file == File::kLong ? bits : bits & 0xffffffff);
    }
    if (const auto it = addresses_.find(text); it != addresses_.end())
      return Starting(file, Initial::kNumber, it->second);
    Stop("PTX line %d: unknown operand '%s' in %s", i.line, text.c_str(), i.text.c_str());
  }

  void ReadInstruction(const std::string& text, int line) {
    Instruction i;
    i.line = line;
    i.text = text;
    for (char& c : i.text)
      if (IsSpace(c)) c = ' ';
    size_t begin = 0;
    if (i.text[0] == '@') {
      begin = i.text.find(' ');
      i.guard_negated = i.text[1] == '!';
      i.guard = Find(i.text.substr(1 + i.guard_negated, begin - 1 - i.guard_negated)).index;
      begin = i.text.find_first_not_of(' ', begin);
    }
    const size_t end = std::min(i.text.find(' ', begin), i.text.size());
    const std::vector<std::string> name = Split(i.text.substr(begin, end - begin), ".");
    const std::vector<std::string> operands = Split(i.text.substr(end), ",|");
    if (name[0] == "bra") {
      i.kind = Kind::kBranch;
      branches_.push_back({kernel_->code.size(), operands[0], {}});
      for (size_t s = scopes_.size(); s-- > 0;) branches_.back().scopes.push_back(scopes_[s].id);
    } else if (name[0] == "ret" || name[0] == "trap") {
      i.kind = name[0] == "ret" ? Kind::kReturn : Kind::kTrap;
    } else {
      ReadOperands(i, name, operands);
      i.operation = FindOperation(i, name);
      if (i.operation == nullptr) Stop("PTX line %d: unknown instruction %s", line, i.text.c_str());
    }
    kernel_->code.push_back(std::move(i));
  }
  void ReadOperands(Instruction& i, const std::vector<std::string>& name,
                    const std::vector<std::string>& operands) {
    const std::string& type = name.back();
    const bool typed = type.size() > 1 && IsDigit(type[1]);  // "b64", not "aligned"
    const File own = type == "pred" || typed ? FileOf(type) : File::kWord;
    size_t lists = 0;
    const auto list = [&](const std::string& braced) {
      for (const std::string& o : Split(Inside(braced), ","))
        i.lists[lists].push_back(Operand(o, File::kWord, i));
      ++lists;
    };
    for (size_t n = 0; n < operands.size(); ++n) {
      const std::string& o = operands[n];
      if (o[0] == '{') {
        list(o);
      } else if (o[0] == '[') {
        // [address + offset], or [tensor map, {coordinates}]
        const std::vector<std::string> parts = Split(Inside(o), ",");
        const size_t plus = parts[0].find('+');
        if (plus != std::string::npos)
          i.offset = std::strtoll(parts[0].c_str() + plus + 1, nullptr, 0);
        i.operands.push_back(Operand(parts[0].substr(0, plus), File::kLong, i));
        if (parts.size() > 1) list(parts[1]);
      } else {
        // Shifts, lengths and barriers are words whatever the type.
        const bool word = ((name[0] == "shl" || name[0] == "shr") && n == 2) ||
                          (name[0] == "bfi" && n >= 3) || (name[0] == "bar" && IsNumber(o));
        if (IsNumber(o)) i.number = static_cast<int64_t>(Number(o));
        i.operands.push_back(Operand(o, word ? File::kWord : own, i));
      }
    }
  }

  const std::string& text_;
  size_t at_ = 0;
  int line_ = 1;
  std::map<std::string, Kernel>& kernels_;
  std::vector<std::string> module_shared_;

  // Of the kernel that is being read.
  Kernel* kernel_ = nullptr;
  std::vector<Scope> scopes_;
  int next_scope_ = 0;
  std::map<std::pair<int, std::string>, size_t> labels_;  // by scope
  std::vector<Branch> branches_;
  std::map<std::string, uint64_t> addresses_;  // of variables and parameters
  struct Literal {
    File file;
    int source;
    uint64_t number;
    auto operator<=>(const Literal&) const = default;
  };
  std::map<Literal, Register> literals_;
};

}  // namespace

void ReadPtx(const std::string& text, std::map<std::string, Kernel>& kernels) {
  Reader(text, kernels).ReadModule();
}

}  // namespace hone::simulated
