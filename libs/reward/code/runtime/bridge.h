// Part of the C++ programs that the scorer builds, never of this server: both sides of a function
// test over file descriptor 3 (../wire.h describes the bytes). The tester is the data set's own
// main(), in which the function under test is Ask(): its arguments travel to the other process, its
// result comes back as plain values that this process builds from bytes. The program under test
// ends in Serve(). Nothing that the program does to its own process can reach the comparison.
// Stands after values.h in one text.

namespace hone_bridge {

// ---- the tester ----

inline Reader Exchange(const std::string& body) {
  Send('c', body);
  auto [kind, reader] = Receive();
  if (kind == 'v') return std::move(reader);
  const std::string name = reader.Text('S');
  throw std::runtime_error(kind == 'x' ? name + ": " + reader.Text('S') : name);
}

// A union has no tag that says what it holds. Its value is fetched as the type of what it is
// compared with, and compared here.
struct Lazy {
  uint64_t number = 0;
  template <typename T>
  bool operator==(const T& expected) const {
    using Plain = std::conditional_t<std::is_convertible_v<const T&, std::string>, std::string, T>;
    std::string body;
    PutText(body, 'S', "member");
    PutHandle(body, number);
    PutText(body, 'S', Wire<Plain>::Name());
    Reader reader = Exchange(body);
    return Get<Plain>(reader) == Plain(expected);
  }
};
template <typename T>
using Returned = std::conditional_t<std::is_union_v<T>, Lazy, T>;

// The function under test: R is Returned<its result>.
template <typename R, typename... A>
R Ask(const A&... arguments) {
  std::string body;
  PutText(body, 'S', "call");
  PutCount(body, 'L', sizeof...(A));
  (Put(body, arguments), ...);
  Reader reader = Exchange(body);
  if constexpr (std::is_same_v<R, Lazy>) {
    return Lazy{GetHandle(reader)};
  } else {
    return Get<R>(reader);
  }
}

// Counts the assertions of the tests, and says so at the end of main(). One object per tester.
class Tests {
 public:
  Tests(bool every, int written) : every_(every), written_(written) {
    self_ = this;
    std::set_terminate([] { self_->Finish(false, "an exception left main()"); });
  }
  ~Tests() { Finish(true, ""); }

  template <typename F>
  static void Hold(F holds, const char* text) {
    bool held = false;
    std::string why = text;
    try {
      held = holds();
    } catch (const std::exception& e) {
      why += std::string(": ") + e.what();
    }
    ++self_->reached_;
    if (held) {
      ++self_->passed_;
      return;
    }
    if (self_->why_.empty()) self_->why_ = why.substr(0, 400);
    if (!self_->every_) self_->Finish(false, "");
  }

 private:
  [[noreturn]] void Finish(bool whole, const char* why) {
    std::string body;
    const int total = whole ? reached_ : std::max(written_, reached_);
    Put(body, passed_);
    // Tests without assertions that came to their end are one that passed.
    Put(body, std::max(total, 1));
    if (whole && total == 0) {
      body.clear();
      Put(body, 1);
      Put(body, 1);
    }
    PutText(body, 'S', why_.empty() ? std::string(why) : why_);
    Send('e', body);
    ::_exit(0);
  }

  static inline Tests* self_ = nullptr;
  const bool every_;
  const int written_;
  int reached_ = 0;
  int passed_ = 0;
  std::string why_;
};

// ---- the program under test ----

template <typename F>
struct Signature;
template <typename R, typename... A>
struct Signature<R(A...)> {
  using Result = R;
  using Arguments = std::tuple<std::decay_t<A>...>;
  static Arguments Read(Reader& in) {
    in.Expect('L');
    if (in.Count() != sizeof...(A)) throw WrongValue("another number of arguments");
    return Arguments{Get<std::decay_t<A>>(in)...};
  }
};

#define HONE_BRIDGE_HAS(f)                   \
  template <typename U, typename = void>     \
  struct HasMember_##f : std::false_type {}; \
  template <typename U>                      \
  struct HasMember_##f<U, std::void_t<decltype(std::declval<U&>().f)>> : std::true_type {}
HONE_BRIDGE_HAS(f0);
HONE_BRIDGE_HAS(f1);
HONE_BRIDGE_HAS(f2);
HONE_BRIDGE_HAS(f3);
#undef HONE_BRIDGE_HAS

// The member of a union whose type has this name. Reading one that is not alive is this process's
// own risk.
template <typename U>
void PutMember(std::string& out, U& value, const std::string& name) {
  bool found = false;
  auto look = [&](auto& member) {
    using T = std::decay_t<decltype(member)>;
    if (found || Wire<T>::Name() != name) return;
    found = true;
    Put(out, member);
  };
#define HONE_BRIDGE_MEMBER(f) \
  if constexpr (HasMember_##f<U>::value) look(value.f)
  HONE_BRIDGE_MEMBER(f0);
  HONE_BRIDGE_MEMBER(f1);
  HONE_BRIDGE_MEMBER(f2);
  HONE_BRIDGE_MEMBER(f3);
#undef HONE_BRIDGE_MEMBER
  if (!found) throw WrongValue("no member of that type");
}

template <typename F, typename Call>
int Serve(Call call) {
  using Result = typename Signature<F>::Result;
  // Unions stay here, neither copied nor destroyed; the tester gets a number for each.
  [[maybe_unused]] std::vector<Result*> unions;
  Send('o', "");
  while (true) {
    auto [kind, in] = Receive();
    std::string body;
    try {
      const std::string operation = in.Text('S');
      if constexpr (std::is_union_v<Result>) {
        if (operation == "member") {
          const uint64_t number = GetHandle(in);
          PutMember(body, *unions.at(number), in.Text('S'));
          Send('v', body);
          continue;
        }
      }
      auto arguments = Signature<F>::Read(in);
      if constexpr (std::is_union_v<Result>) {
        unions.push_back(new Result(std::apply(call, arguments)));
        PutHandle(body, unions.size() - 1);
      } else {
        const Result result = std::apply(call, arguments);
        Put(body, result);
      }
      Send('v', body);
    } catch (const std::exception& e) {
      body.clear();
      PutText(body, 'S', "exception");
      PutText(body, 'S', std::string(e.what()).substr(0, 500));
      Send('x', body);
    }
  }
}

}  // namespace hone_bridge
