#include "codegen/program_btf.h"

#include <linux/btf.h>

#include <algorithm>
#include <string>

#include "base/text.h"
#include "codegen/ir.h"
#include "format/btf_writer.h"

namespace waggle::codegen {
namespace {

constexpr size_t kLineBytesMost = 256;
constexpr size_t kNameBytesMost = 127;  // KSYM_NAME_LEN - 1 of the oldest kernels
constexpr uint32_t kColumnMost = 1023, kLineMost = (1u << 22) - 1;
// The types that every program's functions are made of.
constexpr uint32_t kInt = 1, kU64 = 2, kPointer = 3, kFirstFunction = 4;
constexpr std::string_view kParameterNames[] = {"a", "b", "c", "d", "e"};

std::string identifier(std::string_view name) {
  bool begins_with_letter = !name.empty() && !(name[0] >= '0' && name[0] <= '9');
  std::string made(begins_with_letter ? "" : "_");
  made += name.substr(0, kNameBytesMost - made.size());
  for (char &each : made) {
    bool is_letter = (each >= 'a' && each <= 'z') || (each >= 'A' && each <= 'Z');
    if (!is_letter && !(each >= '0' && each <= '9')) each = '_';
  }
  return made;
}

void put_type(BtfWriter &out, uint32_t name, uint32_t kind, uint32_t count, uint32_t size_or_type) {
  out.put(btf_type{name, kind << 24 | count, {size_or_type}});
}

// A prototype and a function of it: two types.
void write_function(BtfWriter &out, const Subprogram &function, bool is_program, uint32_t prototype) {
  put_type(out, 0, BTF_KIND_FUNC_PROTO, function.parameters, kInt);
  for (uint32_t i = 0; i < function.parameters; i++) {
    out.put(out.string(kParameterNames[i]));
    out.put(is_program ? kPointer : kU64);
  }
  // The kernel calls back static functions only, and verifies global ones by themselves.
  put_type(out, out.string(identifier(function.name)), BTF_KIND_FUNC, is_program ? BTF_FUNC_GLOBAL : BTF_FUNC_STATIC,
           prototype);
}

void write_lines(BtfWriter &out, ProgramBtf &made, const Code &code, const Source &source) {
  bool has_position =
      std::any_of(code.lines.begin(), code.lines.end(), [](const LinePlace &each) { return each.position.line != 0; });
  if (!has_position) return;
  const std::vector<std::string_view> lines = split(source.text, '\n');
  const uint32_t file = out.string(source.name);
  for (const LinePlace &each : code.lines) {
    const Position &at = each.position;
    std::string_view line;
    if (at.line >= 1 && at.line <= lines.size()) line = trim(lines[at.line - 1]).substr(0, kLineBytesMost);
    // A NUL would end it for the kernel.
    line = line.substr(0, line.find('\0'));
    made.lines.push_back({each.instruction, file, out.string(line),
                          std::min(at.line, kLineMost) << 10 | std::min(at.column, kColumnMost)});
  }
}

}  // namespace

ProgramBtf describe(const Code &code, const Source &source) {
  ProgramBtf made;
  BtfWriter out;
  put_type(out, out.string("int"), BTF_KIND_INT, 0, 4);
  out.put(uint32_t{BTF_INT_SIGNED << 24 | 32});
  put_type(out, out.string("unsigned long long"), BTF_KIND_INT, 0, 8);
  out.put(uint32_t{64});
  put_type(out, 0, BTF_KIND_PTR, 0, 0);
  uint32_t next = kFirstFunction;
  for (const Subprogram &each : code.subprograms) {
    write_function(out, each, each.start == 0, next);
    made.functions.push_back({each.start, next + 1});
    next += 2;
  }
  write_lines(out, made, code, source);
  made.types = out.bytes();
  return made;
}

}  // namespace waggle::codegen
