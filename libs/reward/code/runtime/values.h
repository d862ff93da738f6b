// Part of the C++ programs that the scorer builds, never of this server: messages over file
// descriptor 3 and the values in them (../wire.h describes the bytes), for the types that may
// cross.
#include <unistd.h>

#include <any>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace hone_bridge {

constexpr uint32_t kMaxFrame = 8u << 20;

struct WrongValue : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// ---- bytes ----

class Reader {
 public:
  explicit Reader(std::string bytes) : bytes_(std::move(bytes)) {}
  bool done() const { return at_ == bytes_.size(); }
  char Peek() const {
    if (at_ >= bytes_.size()) throw WrongValue("a message that ends early");
    return bytes_[at_];
  }
  char Tag() {
    const char tag = Peek();
    ++at_;
    return tag;
  }
  void Expect(char tag) {
    if (Tag() != tag) throw WrongValue("a value of another type was expected");
  }
  std::string Bytes(size_t size) {
    if (bytes_.size() - at_ < size) throw WrongValue("a message that ends early");
    at_ += size;
    return bytes_.substr(at_ - size, size);
  }
  template <typename T>
  T Raw() {
    T value;
    std::memcpy(&value, Bytes(sizeof(T)).data(), sizeof(T));
    return value;
  }
  uint32_t Count() { return Raw<uint32_t>(); }
  std::string Text(char tag) {
    Expect(tag);
    return Bytes(Count());
  }

 private:
  std::string bytes_;
  size_t at_ = 0;
};

template <typename T>
void PutRaw(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}
inline void PutText(std::string& out, char tag, const std::string& text) {
  out += tag;
  PutRaw(out, static_cast<uint32_t>(text.size()));
  out += text;
}
inline void PutCount(std::string& out, char tag, size_t count) {
  out += tag;
  PutRaw(out, static_cast<uint32_t>(count));
}

inline void Exactly(bool sending, char* data, size_t size) {
  while (size > 0) {
    const ssize_t n = sending ? ::write(3, data, size) : ::read(3, data, size);
    if (n <= 0) ::_exit(0);  // the channel is closed
    data += n;
    size -= static_cast<size_t>(n);
  }
}
inline void Send(char kind, const std::string& body) {
  std::string frame;
  PutRaw(frame, static_cast<uint32_t>(body.size() + 1));
  frame += kind;
  frame += body;
  if (frame.size() - 4 > kMaxFrame) throw WrongValue("a value that is too large");
  Exactly(true, frame.data(), frame.size());
}
inline std::pair<char, Reader> Receive() {
  uint32_t size = 0;
  Exactly(false, reinterpret_cast<char*>(&size), 4);
  if (size < 1 || size > kMaxFrame) ::_exit(0);
  std::string frame(size, '\0');
  Exactly(false, frame.data(), size);
  return {frame[0], Reader(frame.substr(1))};
}

// ---- values ----

template <typename T, typename = void>
struct Wire;  // void Put(std::string&, const T&); T Get(Reader&); std::string Name()

template <typename T>
void Put(std::string& out, const T& value) {
  Wire<T>::Put(out, value);
}
template <typename T>
T Get(Reader& in) {
  return Wire<T>::Get(in);
}

template <>
struct Wire<bool> {
  static std::string Name() { return "T"; }
  static void Put(std::string& out, bool value) { out += value ? 'T' : 'F'; }
  static bool Get(Reader& in) {
    const char tag = in.Tag();
    if (tag != 'T' && tag != 'F') throw WrongValue("expected true or false");
    return tag == 'T';
  }
};

template <typename T>
struct Wire<T, std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, char>>> {
  static std::string Name() { return "I"; }
  static void Put(std::string& out, T value) {
    char digits[24];
    const bool negative = value < 0;
    const auto magnitude = negative ? 0 - static_cast<unsigned long long>(value)
                                    : static_cast<unsigned long long>(value);
    std::snprintf(digits, sizeof(digits), "%s%llx", negative ? "-" : "", magnitude);
    PutText(out, 'I', digits);
  }
  static T Get(Reader& in) {
    const std::string digits = in.Text('I');
    const bool negative = !digits.empty() && digits[0] == '-';
    if (digits.size() > (negative ? 17u : 16u)) throw WrongValue("an integer out of range");
    const unsigned long long magnitude =
        std::strtoull(digits.c_str() + (negative ? 1 : 0), nullptr, 16);
    const T value = static_cast<T>(negative ? 0 - magnitude : magnitude);
    const bool same_sign = negative ? value <= 0 : value >= 0;
    const auto back = negative ? 0 - static_cast<unsigned long long>(value)
                               : static_cast<unsigned long long>(value);
    if (!same_sign || back != magnitude) throw WrongValue("an integer out of range");
    return value;
  }
};

template <typename T>
struct Wire<T, std::enable_if_t<std::is_floating_point_v<T>>> {
  static std::string Name() { return "D"; }
  static void Put(std::string& out, T value) {
    out += 'D';
    PutRaw(out, static_cast<double>(value));
  }
  static T Get(Reader& in) {
    if (in.Peek() == 'I') return static_cast<T>(Wire<long long>::Get(in));
    in.Expect('D');
    return static_cast<T>(in.Raw<double>());
  }
};

template <>
struct Wire<std::string> {
  static std::string Name() { return "S"; }
  static void Put(std::string& out, const std::string& value) { PutText(out, 'S', value); }
  static std::string Get(Reader& in) { return in.Text('S'); }
};

template <>
struct Wire<char> {
  static std::string Name() { return "c"; }
  static void Put(std::string& out, char value) { PutText(out, 'S', std::string(1, value)); }
  static char Get(Reader& in) {
    const std::string text = in.Text('S');
    if (text.size() != 1) throw WrongValue("expected one character");
    return text[0];
  }
};

template <>
struct Wire<std::nullopt_t> {
  static std::string Name() { return "N"; }
  static void Put(std::string& out, std::nullopt_t) { out += 'N'; }
};

template <typename T>
struct Wire<std::optional<T>> {
  static std::string Name() { return "?" + Wire<T>::Name(); }
  static void Put(std::string& out, const std::optional<T>& value) {
    if (value.has_value())
      Wire<T>::Put(out, *value);
    else
      out += 'N';
  }
  static std::optional<T> Get(Reader& in) {
    if (in.Peek() != 'N') return Wire<T>::Get(in);
    in.Tag();
    return std::nullopt;
  }
};

// Containers of one kind of element, filled by inserting at the end.
template <typename C, char kTag>
struct WireSequence {
  using T = typename C::value_type;
  static std::string Name() { return kTag + Wire<T>::Name(); }
  static void Put(std::string& out, const C& value) {
    PutCount(out, kTag, static_cast<size_t>(std::distance(value.begin(), value.end())));
    for (const auto& element : value) Wire<T>::Put(out, element);
  }
  static C Get(Reader& in) {
    in.Expect(kTag);
    C value;
    for (uint32_t left = in.Count(); left > 0; --left) value.insert(value.end(), Wire<T>::Get(in));
    return value;
  }
};
template <typename T>
struct Wire<std::vector<T>> : WireSequence<std::vector<T>, 'L'> {};
template <typename T>
struct Wire<std::deque<T>> : WireSequence<std::deque<T>, 'L'> {};
template <typename T>
struct Wire<std::list<T>> : WireSequence<std::list<T>, 'L'> {};
template <typename T>
struct Wire<std::set<T>> : WireSequence<std::set<T>, 'E'> {};
template <typename T>
struct Wire<std::unordered_set<T>> : WireSequence<std::unordered_set<T>, 'E'> {};

template <typename C>
struct WireMap {
  using K = typename C::key_type;
  using V = typename C::mapped_type;
  static std::string Name() { return "M" + Wire<K>::Name() + Wire<V>::Name(); }
  static void Put(std::string& out, const C& value) {
    PutCount(out, 'M', value.size());
    for (const auto& [k, v] : value) {
      Wire<K>::Put(out, k);
      Wire<V>::Put(out, v);
    }
  }
  static C Get(Reader& in) {
    in.Expect('M');
    C value;
    for (uint32_t left = in.Count(); left > 0; --left) {
      K key = Wire<K>::Get(in);
      value.insert_or_assign(std::move(key), Wire<V>::Get(in));
    }
    return value;
  }
};
template <typename K, typename V>
struct Wire<std::map<K, V>> : WireMap<std::map<K, V>> {};
template <typename K, typename V>
struct Wire<std::unordered_map<K, V>> : WireMap<std::unordered_map<K, V>> {};

template <typename C, typename... T>
struct WireTuple {
  static std::string Name() { return ("U" + ... + Wire<T>::Name()); }
  static void Put(std::string& out, const C& value) {
    PutCount(out, 'U', sizeof...(T));
    std::apply([&out](const auto&... element) { (hone_bridge::Put(out, element), ...); }, value);
  }
  static C Get(Reader& in) {
    in.Expect('U');
    if (in.Count() != sizeof...(T)) throw WrongValue("a tuple of another size was expected");
    return C{Wire<T>::Get(in)...};  // in order: a braced list
  }
};
template <typename... T>
struct Wire<std::tuple<T...>> : WireTuple<std::tuple<T...>, T...> {};
template <typename A, typename B>
struct Wire<std::pair<A, B>> : WireTuple<std::pair<A, B>, A, B> {};

// A value that says its C++ type: of those that tests put into a std::any. A template, so that only
// programs that use it pay for it (55 ms of compilation).
template <typename Any>
struct Wire<Any, std::enable_if_t<std::is_same_v<Any, std::any>>> {
  static std::string Name() { return "X"; }
  static void Put(std::string& out, const std::any& value) {
    const bool known = Try<int>(out, value, "int") || Try<long>(out, value, "long") ||
                       Try<double>(out, value, "double") || Try<float>(out, value, "float") ||
                       Try<bool>(out, value, "bool") || Try<std::string>(out, value, "string") ||
                       Try<std::vector<long>>(out, value, "longs") ||
                       Try<std::map<long, long>>(out, value, "long map");
    if (known) return;
    const auto* text = std::any_cast<const char*>(&value);
    if (text == nullptr) throw WrongValue("a std::any that holds an unknown type");
    out += 'X';
    PutText(out, 'S', "text");
    PutText(out, 'S', *text);
  }
  static std::any Get(Reader& in) {
    in.Expect('X');
    const std::string name = in.Text('S');
    if (name == "int") return hone_bridge::Get<int>(in);
    if (name == "long") return hone_bridge::Get<long>(in);
    if (name == "double") return hone_bridge::Get<double>(in);
    if (name == "float") return hone_bridge::Get<float>(in);
    if (name == "bool") return hone_bridge::Get<bool>(in);
    if (name == "string") return hone_bridge::Get<std::string>(in);
    if (name == "longs") return hone_bridge::Get<std::vector<long>>(in);
    if (name == "long map") return hone_bridge::Get<std::map<long, long>>(in);
    if (name != "text") throw WrongValue("a std::any of an unknown type");
    static std::deque<std::string> kept;  // what the pointers point to
    kept.push_back(in.Text('S'));
    return static_cast<const char*>(kept.back().c_str());
  }

 private:
  template <typename T>
  static bool Try(std::string& out, const std::any& value, const char* name) {
    const T* held = std::any_cast<T>(&value);
    if (held == nullptr) return false;
    out += 'X';
    PutText(out, 'S', name);
    hone_bridge::Put(out, *held);
    return true;
  }
};

inline void PutHandle(std::string& out, uint64_t number) {
  out += 'H';
  PutRaw(out, number);
  PutText(out, 'S', "union");
}
inline uint64_t GetHandle(Reader& in) {
  in.Expect('H');
  const auto number = in.Raw<uint64_t>();
  in.Text('S');
  return number;
}

}  // namespace hone_bridge
