#include "codegen/optimize.h"

#include <algorithm>

#include "codegen/flow.h"

namespace waggle::codegen {
namespace {

// Each pass makes work for the others; after a few rounds there is nearly none left.
constexpr int kRoundsMost = 6;

// How often each label is jumped to.
std::vector<uint32_t> count_jumps(const Function &function) {
  std::vector<uint32_t> jumps(function.labels);
  for (const Instruction &each : function.body)
    if (each.is_jump()) jumps[each.target]++;
  return jumps;
}

// Jumps to jumps go to where those go.
bool thread_jumps(Function &function) {
  const std::vector<Instruction> &body = function.body;
  std::vector<uint32_t> goes_to(function.labels);
  for (uint32_t i = 0; i < function.labels; i++) goes_to[i] = i;
  for (size_t at = 0; at < body.size(); at++) {
    if (!body[at].is_label()) continue;
    size_t next = at + 1;
    if (next < body.size() && (body[next].is_label() || body[next].op == Op::kJump))
      goes_to[body[at].target] = body[next].target;
  }
  bool changed = false;
  for (Instruction &each : function.body) {
    if (!each.is_jump()) continue;
    // An endless loop of jumps has no end to go to.
    for (uint32_t steps = 0; goes_to[each.target] != each.target && steps < function.labels; steps++) {
      each.target = goes_to[each.target];
      changed = true;
    }
  }
  return changed;
}

// Whether the code at `at`, past labels, is the label `target`.
bool follows(const std::vector<Instruction> &body, size_t at, uint32_t target) {
  for (; at < body.size() && body[at].is_label(); at++)
    if (body[at].target == target) return true;
  return false;
}

bool drop_needless_jumps(Function &function) {
  std::vector<Instruction> &body = function.body, kept;
  kept.reserve(body.size());
  bool changed = false;
  for (size_t at = 0; at < body.size(); at++) {
    Instruction each = body[at];
    if (each.is_jump() && follows(body, at + 1, each.target)) {
      changed = true;
      continue;
    }
    // if (c) goto past; goto there; past:   is   if (!c) goto there; past:
    if (each.op == Op::kBranch && at + 1 < body.size() && body[at + 1].op == Op::kJump &&
        follows(body, at + 2, each.target)) {
      each.condition = inverse(each.condition);
      each.target = body[++at].target;
      changed = true;
    }
    kept.push_back(each);
  }
  body = std::move(kept);
  return changed;
}

bool drop_unreachable(Function &function) {
  std::vector<Block> blocks = blocks_of(function.body, function.labels);
  std::vector<bool> reached(blocks.size());
  std::vector<uint32_t> work;
  if (!blocks.empty()) {
    work.push_back(0);
    reached[0] = true;
  }
  while (!work.empty()) {
    uint32_t each = work.back();
    work.pop_back();
    for (uint32_t next : blocks[each].successors())
      if (!reached[next]) {
        reached[next] = true;
        work.push_back(next);
      }
  }
  size_t before = function.body.size();
  std::vector<Instruction> kept;
  kept.reserve(before);
  for (size_t i = 0; i < blocks.size(); i++)
    if (reached[i])
      kept.insert(kept.end(), function.body.begin() + blocks[i].begin, function.body.begin() + blocks[i].end);
  function.body = std::move(kept);
  std::vector<uint32_t> jumps = count_jumps(function);
  std::erase_if(function.body, [&](const Instruction &each) { return each.is_label() && jumps[each.target] == 0; });
  return function.body.size() != before;
}

void visit_ir(const Instruction &each, auto define, auto use) {
  if (each.to != kNoRegister) define(each.to);
  for (const Value &in : each.used())
    if (in.is_register()) use(in.id);
}

}  // namespace

bool simplify_flow(Function &function) {
  bool changed = thread_jumps(function);
  changed |= drop_unreachable(function);
  changed |= drop_needless_jumps(function);
  changed |= drop_unreachable(function);
  return changed;
}

bool drop_unused(Function &function) {
  auto visit = [](const Instruction &each, auto define, auto use) { visit_ir(each, define, use); };
  std::vector<Block> blocks = blocks_of(function.body, function.labels);
  const Liveness liveness(function.body, blocks, function.registers, visit);
  BitSet live(function.registers);
  std::vector<bool> dropped(function.body.size());
  bool changed = false;
  for (size_t i = 0; i < blocks.size(); i++) {
    liveness.after(i, live);
    for (uint32_t at = blocks[i].end; at-- > blocks[i].begin;) {
      Instruction &each = function.body[at];
      bool is_read = each.to != kNoRegister && live.test(each.to);
      bool to_itself = each.op == Op::kMove && each.in[0].is_register(each.to);
      if (each.is_pure() && (!is_read || to_itself)) {
        dropped[at] = changed = true;
        continue;
      }
      if (each.to != kNoRegister && !is_read) {
        each.to = kNoRegister;
        changed = true;
      }
      visit_ir(
          each, [&](uint32_t id) { live.reset(id); }, [&](uint32_t id) { live.set(id); });
    }
  }
  size_t at = 0;
  std::erase_if(function.body, [&](const Instruction &) { return dropped[at++]; });
  return changed;
}

void optimize(Function &function) {
  simplify_flow(function);
  for (int round = 0; round < kRoundsMost; round++) {
    bool changed = propagate(function);
    changed |= simplify_flow(function);
    changed |= drop_unused(function);
    if (!changed) break;
  }
}

}  // namespace waggle::codegen
