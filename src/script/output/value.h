// One value of a script as text and as JSON, as bpftrace 0.27 prints them.
//
//   type        text                      JSON
//   integer     -1                        -1
//   bool        true                      true
//   enum        its name, or the number   "name", or the number
//   string      up to the first NUL, and  "..."
//               ".." where it was cut
//   buffer      a\x00\xff                 "a\\x00\\xff"
//   pointer     0xffff8880                "0xffff8880"
//   array       [1,2,3]                   [1,2,3]
//   tuple       (1, 2, abc)               [1,2,"abc"]
//   record      { .a = 1, .b = 2 }        { "a": 1, "b": 2 }; so do tuples with names
//   others      what they stand for, or where it is not known their number; JSON: in quotes
//   aggregates  the number; stats: "count 2, average 3, total 6"; hist, lhist and tseries:
//               lines, each with its end. JSON: numbers, objects, arrays
//
// Bytes are as BPF wrote them (type.h). Nothing in them is trusted: a length is cut to what
// is there.
// Threads: any number at once with a Resolver of each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "script/output/resolver.h"
#include "script/types/type.h"

namespace waggle::script {

struct ValueStyle {
  uint32_t stack_indent = 8;  // blanks before a frame; 4 in the keys of maps
  uint32_t div = 1;           // of the numbers of aggregates and of integers; 0 is 1
};

// REQUIRES: bytes.size() >= value_bytes(type); of aggregates a value that reduce() made
void append_text(std::string &out, const Type &type, std::span<const std::byte> bytes, Resolver &resolver,
                 ValueStyle style = {});
void append_json(std::string &out, const Type &type, std::span<const std::byte> bytes, Resolver &resolver,
                 ValueStyle style = {});

// type.bytes(), and of aggregates that of all their words.
size_t value_bytes(const Type &type);

// The number of an integer, bool, enum or pointer, its sign extended to 64 bits.
uint64_t read_number(const Type &type, std::span<const std::byte> bytes);

// How a buffer's bytes are written: %r, %rx and %rh.
enum class BufferForm : uint8_t {
  kMixed,    // a\x00b: printable characters as they are
  kEscaped,  // \x61\x00\x62
  kBlanks,   // 61 00 62
};
void append_buffer(std::string &out, std::span<const std::byte> content, BufferForm form);
// Of a kBuffer: what follows its length, as long as that says.
std::span<const std::byte> buffer_content(const Type &type, std::span<const std::byte> bytes);

}  // namespace waggle::script
