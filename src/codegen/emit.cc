#include "codegen/emit.h"

#include <fmt/format.h>

#include <utility>

#include "base/check.h"

namespace waggle::codegen {
namespace {

bool takes_two(const Machine &each) {
  return each.kind() == BPF_LD;
}

// Copies that the allocator found needless may have been all that a jump went over.
void drop_jumps_over_nothing(std::vector<Machine> &body) {
  std::vector<Machine> kept;
  kept.reserve(body.size());
  for (size_t at = 0; at < body.size(); at++) {
    bool over_nothing = false;
    if (body[at].is_jump())
      for (size_t next = at + 1; next < body.size() && body[next].is_label(); next++)
        over_nothing = over_nothing || body[next].target == body[at].target;
    if (!over_nothing) kept.push_back(body[at]);
  }
  body = std::move(kept);
}

std::vector<uint32_t> label_places(const MachineCode &code) {
  std::vector<uint32_t> places(code.labels);
  uint32_t at = 0;
  for (const Machine &each : code.body) {
    if (each.is_label())
      places[each.target] = at;
    else
      at += takes_two(each) ? 2 : 1;
  }
  return places;
}

bpf_insn instruction(const Machine &each) {
  CHECK(each.dst <= kFrame && each.src <= kFrame);
  bpf_insn made = {};
  made.code = each.code;
  made.dst_reg = static_cast<uint8_t>(each.dst & 15);
  made.src_reg = static_cast<uint8_t>(each.src & 15);
  made.off = each.off;
  made.imm = static_cast<int32_t>(each.imm);
  return made;
}

uint8_t link_kind(Machine::Link link) {
  switch (link) {
    case Machine::Link::kNone:
      return 0;
    case Machine::Link::kMap:
      return BPF_PSEUDO_MAP_FD;
    case Machine::Link::kMapValue:
      return BPF_PSEUDO_MAP_VALUE;
    case Machine::Link::kFunctionAddress:
      return BPF_PSEUDO_FUNC;
    case Machine::Link::kFunctionCall:
      return BPF_PSEUDO_CALL;
  }
  CHECK(false);
}

// What follows the first word of a 64-bit constant.
bpf_insn second_word(const Machine &each) {
  bpf_insn made = {};
  if (each.link == Machine::Link::kNone) made.imm = static_cast<int32_t>(static_cast<uint64_t>(each.imm) >> 32);
  if (each.link == Machine::Link::kMapValue) made.imm = static_cast<int32_t>(each.imm);
  return made;
}

}  // namespace

Result<CompiledFunction> emit(MachineCode machine) {
  drop_jumps_over_nothing(machine.body);
  const std::vector<uint32_t> places = label_places(machine);
  CompiledFunction made;
  Code &code = made.code;
  code.subprograms.push_back({machine.name, 0, 0, machine.stack_bytes});
  for (const Machine &each : machine.body) {
    if (each.is_label()) continue;
    auto at = static_cast<uint32_t>(code.instructions.size());
    if (code.lines.empty() || (each.position.line != 0 && each.position != code.lines.back().position))
      code.lines.push_back({at, each.position});
    bpf_insn word = instruction(each);
    if (each.is_jump()) {
      int64_t distance = static_cast<int64_t>(places[each.target]) - at - 1;
      if (distance != static_cast<int16_t>(distance))
        return fail(ErrorCode::kExhausted, fmt::format("'{}' is too long", machine.name),
                    fmt::format("it jumps over {} instructions, and BPF can over 32767", distance), "split it");
      word.off = static_cast<int16_t>(distance);
    }
    if (each.link != Machine::Link::kNone) {
      word.src_reg = link_kind(each.link) & 15;
      word.imm = 0;
    }
    if (each.link == Machine::Link::kMap || each.link == Machine::Link::kMapValue)
      code.maps.push_back({at, each.target});
    if (each.link == Machine::Link::kFunctionAddress || each.link == Machine::Link::kFunctionCall)
      made.references.push_back({at, each.target, each.link == Machine::Link::kFunctionAddress});
    code.instructions.push_back(word);
    if (takes_two(each)) code.instructions.push_back(second_word(each));
  }
  return made;
}

}  // namespace waggle::codegen
