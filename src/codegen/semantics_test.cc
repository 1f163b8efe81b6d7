// What every operation means: as C++ says, as the interpreter does, as the kernel does.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string>

#include "codegen/builder.h"
#include "codegen/disassemble.h"
#include "codegen/optimize.h"
#include "codegen/run_for_test.h"

namespace waggle::codegen {
namespace {

constexpr uint64_t kInteresting[] = {0,
                                     1,
                                     2,
                                     3,
                                     7,
                                     31,
                                     32,
                                     63,
                                     64,
                                     100,
                                     0x7f,
                                     0x80,
                                     0xff,
                                     0x8000,
                                     0xfedc,
                                     0x7fffffff,
                                     0x80000000,
                                     0xffffffff,
                                     0x100000000,
                                     0x0123456789abcdef,
                                     0xfedcba9876543210,
                                     INT64_MAX,
                                     static_cast<uint64_t>(INT64_MIN),
                                     UINT64_MAX,
                                     UINT64_MAX - 1,
                                     UINT64_MAX - 99};

using Expect = std::function<uint64_t(uint64_t, uint64_t)>;
using Write = std::function<Value(Builder &, Value, Value)>;

struct Case {
  const char *name;
  Write write;
  Expect expect;
};

int64_t s(uint64_t value) {
  return static_cast<int64_t>(value);
}
uint64_t u(int64_t value) {
  return static_cast<uint64_t>(value);
}

uint64_t quotient(uint64_t a, uint64_t b) {
  if (b == 0) return 0;
  if (s(a) == INT64_MIN && s(b) == -1) return a;
  return u(s(a) / s(b));
}

uint64_t remainder(uint64_t a, uint64_t b) {
  if (b == 0) return a;
  if (s(b) == -1) return 0;
  return u(s(a) % s(b));
}

#define WAGGLE_CONDITION(condition, expression)                                                                  \
  {#condition " as a value", [](Builder &b, Value x, Value y) { return b.compare(Condition::condition, x, y); }, \
   [](uint64_t x, uint64_t y) -> uint64_t { return (expression) ? 1 : 0; }},                                     \
  {                                                                                                              \
#condition " as a branch",                                                                      \
        [](Builder &b, Value x, Value y) {                                                          \
          Register result = b.variable();                                                           \
          Label yes = b.label();                                                                    \
          b.assign(result, 77);                                                                     \
          b.branch(Condition::condition, x, y, yes);                                                \
          b.assign(result, 55);                                                                     \
          b.bind(yes);                                                                              \
          return Value(result);                                                                     \
        },                                                                                          \
        [](uint64_t x, uint64_t y) -> uint64_t { return (expression) ? 77 : 55; }                \
  }

const Case kCases[] = {
    {"add", [](Builder &b, Value x, Value y) { return b.add(x, y); }, [](uint64_t x, uint64_t y) { return x + y; }},
    {"sub", [](Builder &b, Value x, Value y) { return b.sub(x, y); }, [](uint64_t x, uint64_t y) { return x - y; }},
    {"mul", [](Builder &b, Value x, Value y) { return b.mul(x, y); }, [](uint64_t x, uint64_t y) { return x * y; }},
    {"div", [](Builder &b, Value x, Value y) { return b.div(x, y); },
     [](uint64_t x, uint64_t y) { return y == 0 ? 0 : x / y; }},
    {"mod", [](Builder &b, Value x, Value y) { return b.mod(x, y); },
     [](uint64_t x, uint64_t y) { return y == 0 ? x : x % y; }},
    {"signed div", [](Builder &b, Value x, Value y) { return b.div(x, y, true); }, quotient},
    {"signed mod", [](Builder &b, Value x, Value y) { return b.mod(x, y, true); }, remainder},
    {"and", [](Builder &b, Value x, Value y) { return b.bit_and(x, y); }, [](uint64_t x, uint64_t y) { return x & y; }},
    {"or", [](Builder &b, Value x, Value y) { return b.bit_or(x, y); }, [](uint64_t x, uint64_t y) { return x | y; }},
    {"xor", [](Builder &b, Value x, Value y) { return b.bit_xor(x, y); }, [](uint64_t x, uint64_t y) { return x ^ y; }},
    {"shift left", [](Builder &b, Value x, Value y) { return b.shift_left(x, y); },
     [](uint64_t x, uint64_t y) { return x << (y & 63); }},
    {"shift right", [](Builder &b, Value x, Value y) { return b.shift_right(x, y); },
     [](uint64_t x, uint64_t y) { return x >> (y & 63); }},
    {"shift right signed", [](Builder &b, Value x, Value y) { return b.shift_right(x, y, true); },
     [](uint64_t x, uint64_t y) { return u(s(x) >> (y & 63)); }},
    {"negate", [](Builder &b, Value x, Value) { return b.negate(x); }, [](uint64_t x, uint64_t) { return 0 - x; }},
    {"not", [](Builder &b, Value x, Value) { return b.bit_not(x); }, [](uint64_t x, uint64_t) { return ~x; }},
    {"uint8", [](Builder &b, Value x, Value) { return b.narrow(Size::k1, false, x); },
     [](uint64_t x, uint64_t) -> uint64_t { return static_cast<uint8_t>(x); }},
    {"uint16", [](Builder &b, Value x, Value) { return b.narrow(Size::k2, false, x); },
     [](uint64_t x, uint64_t) -> uint64_t { return static_cast<uint16_t>(x); }},
    {"uint32", [](Builder &b, Value x, Value) { return b.narrow(Size::k4, false, x); },
     [](uint64_t x, uint64_t) -> uint64_t { return static_cast<uint32_t>(x); }},
    {"int8", [](Builder &b, Value x, Value) { return b.narrow(Size::k1, true, x); },
     [](uint64_t x, uint64_t) { return u(static_cast<int8_t>(x)); }},
    {"int16", [](Builder &b, Value x, Value) { return b.narrow(Size::k2, true, x); },
     [](uint64_t x, uint64_t) { return u(static_cast<int16_t>(x)); }},
    {"int32", [](Builder &b, Value x, Value) { return b.narrow(Size::k4, true, x); },
     [](uint64_t x, uint64_t) { return u(static_cast<int32_t>(x)); }},
    {"int64", [](Builder &b, Value x, Value) { return b.narrow(Size::k8, true, x); },
     [](uint64_t x, uint64_t) { return x; }},
    {"swap 2", [](Builder &b, Value x, Value) { return b.byte_swap(Size::k2, x); },
     [](uint64_t x, uint64_t) -> uint64_t { return __builtin_bswap16(static_cast<uint16_t>(x)); }},
    {"swap 4", [](Builder &b, Value x, Value) { return b.byte_swap(Size::k4, x); },
     [](uint64_t x, uint64_t) -> uint64_t { return __builtin_bswap32(static_cast<uint32_t>(x)); }},
    {"swap 8", [](Builder &b, Value x, Value) { return b.byte_swap(Size::k8, x); },
     [](uint64_t x, uint64_t) { return __builtin_bswap64(x); }},
    WAGGLE_CONDITION(kEqual, x == y),
    WAGGLE_CONDITION(kNotEqual, x != y),
    WAGGLE_CONDITION(kBelow, x < y),
    WAGGLE_CONDITION(kBelowEqual, x <= y),
    WAGGLE_CONDITION(kAbove, x > y),
    WAGGLE_CONDITION(kAboveEqual, x >= y),
    WAGGLE_CONDITION(kLess, s(x) < s(y)),
    WAGGLE_CONDITION(kLessEqual, s(x) <= s(y)),
    WAGGLE_CONDITION(kGreater, s(x) > s(y)),
    WAGGLE_CONDITION(kGreaterEqual, s(x) >= s(y)),
    {"negated condition",
     [](Builder &b, Value x, Value y) { return b.compare(Condition::kEqual, b.compare(Condition::kLess, x, y), 0); },
     [](uint64_t x, uint64_t y) -> uint64_t { return s(x) >= s(y) ? 1 : 0; }},
    {"into an operand",
     [](Builder &b, Value x, Value y) {
       Register left = b.copy(x), right = b.copy(y);
       b.assign(right, b.sub(left, right));
       b.assign(left, b.shift_left(right, left));
       return b.bit_xor(left, right);
     },
     [](uint64_t x, uint64_t y) { return ((x - y) << (x & 63)) ^ (x - y); }},
    {"bytes of the stack",
     [](Builder &b, Value x, Value y) {
       Slot slot = b.slot(16);
       b.store(Size::k8, slot, 0, x);
       b.store(Size::k8, slot, 8, y);
       b.store(Size::k1, slot, 3, 0x1ff);
       b.store(Size::k2, slot, 4, y);
       b.store(Size::k4, slot, 12, -2);
       b.atomic_add(Size::k8, slot, 0, y);
       b.atomic_add(Size::k4, slot, 8, 5);
       return b.add(b.bit_xor(b.load(Size::k8, slot, 0), b.load(Size::k4, slot, 8, true)),
                    b.load(Size::k2, slot, 14, true));
     },
     [](uint64_t x, uint64_t y) {
       uint64_t first = (x & ~0xff000000ull) | 0xff000000ull;
       first = (first & ~0xffff00000000ull) | (y & 0xffff) << 32;
       first += y;
       return (first ^ u(static_cast<int32_t>(static_cast<uint32_t>(y) + 5))) + u(-1);
     }},
};

// result = write(packet[0], packet[1]), into the map; either may be a constant instead.
Function program(const Case &each, const uint64_t *left, const uint64_t *right) {
  Builder b("test");
  Slot input = b.slot(16);
  b.store(Size::k8, input, 0, 0);
  b.store(Size::k8, input, 8, 0);
  b.call(BPF_FUNC_skb_load_bytes, {b.context(), 0, input, 16});
  Value x = left != nullptr ? Value(*left) : Value(b.load(Size::k8, input, 0));
  Value y = right != nullptr ? Value(*right) : Value(b.load(Size::k8, input, 8));
  b.store(Size::k8, Value::map_value(0), 8, each.write(b, x, y));
  b.ret(0);
  return b.finish();
}

bool kernel_loads() {
  Builder b("nothing");
  Function nothing[] = {b.finish()};
  return KernelRunner::make(nothing).has_value();
}

void check_in_kernel(const Case &each, const uint64_t *left, const uint64_t *right) {
  Function functions[] = {program(each, left, right)};
  std::string log;
  Result<KernelRunner> kernel = KernelRunner::make(functions, &log);
  ASSERT_TRUE(kernel.has_value()) << each.name << "\n" << kernel.error().text() << log << text(functions[0]);
  auto check = [&](uint64_t x, uint64_t y) {
    Result<Ran> ran = kernel->run({x, y});
    ASSERT_TRUE(ran.has_value()) << ran.error().text();
    EXPECT_EQ(ran->map[1], each.expect(x, y))
        << each.name << fmt::format(" of 0x{:x}, 0x{:x}\n", x, y) << text(functions[0]) << listing(*compile(functions));
  };
  for (uint64_t x : kInteresting)
    for (uint64_t y : kInteresting) {
      if ((left != nullptr && x != *left) || (right != nullptr && y != *right)) continue;
      check(x, y);
    }
}

TEST(CodegenSemantics, InTheInterpreter) {
  for (const Case &each : kCases)
    for (uint64_t x : kInteresting)
      for (uint64_t y : kInteresting)
        for (int constants = 0; constants < 4; constants++) {
          Function functions[] = {
              program(each, (constants & 1) != 0 ? &x : nullptr, (constants & 2) != 0 ? &y : nullptr)};
          Result<Ran> plain = run_in_user_space(functions, {x, y});
          ASSERT_TRUE(plain.has_value()) << plain.error().text();
          ASSERT_EQ(plain->map[1], each.expect(x, y)) << each.name << fmt::format(" of 0x{:x}, 0x{:x}", x, y);
          optimize(functions[0]);
          Result<Ran> optimized = run_in_user_space(functions, {x, y});
          ASSERT_TRUE(optimized.has_value()) << optimized.error().text();
          ASSERT_EQ(optimized->map[1], each.expect(x, y))
              << each.name << fmt::format(" of 0x{:x}, 0x{:x}\n", x, y) << text(functions[0]);
        }
}

TEST(CodegenSemantics, InTheKernel) {
  if (!kernel_loads()) GTEST_SKIP() << "this process may not load BPF programs";
  for (const Case &each : kCases) check_in_kernel(each, nullptr, nullptr);
}

TEST(CodegenSemantics, OfConstantsInTheKernel) {
  if (!kernel_loads()) GTEST_SKIP() << "this process may not load BPF programs";
  for (const Case &each : kCases)
    for (uint64_t constant : kInteresting) {
      check_in_kernel(each, nullptr, &constant);
      check_in_kernel(each, &constant, nullptr);
    }
}

}  // namespace
}  // namespace waggle::codegen
