#include "script/lower/writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "script/lower/callback.h"

namespace waggle::script {
namespace {

using codegen::Slot;

// The words that every frame begins with.
constexpr uint32_t kFrameContext = 0, kFrameScratch = 8, kFrameReturned = 16, kFrameOwn = 24;
// Before a guarded program's scratch memory: whether somebody is at it.
constexpr uint32_t kGuardBytes = 8;

}  // namespace

Reentry reentry_of(Mechanism mechanism) {
  switch (mechanism) {
    case Mechanism::kTracepoint:
    case Mechanism::kKprobe:
    case Mechanism::kKprobeMulti:
    case Mechanism::kPerfEvent:
    case Mechanism::kWatchpoint:
      return Reentry::kNever;
    case Mechanism::kRawTracepoint:
    case Mechanism::kTpBtf:
    case Mechanism::kFentry:
      return Reentry::kNested;
    case Mechanism::kItself:
    case Mechanism::kUprobe:
    case Mechanism::kUprobeMulti:
    case Mechanism::kUsdt:
    case Mechanism::kIterator:
      break;
  }
  return Reentry::kPreempted;
}

uint32_t scratch_levels(Mechanism mechanism) {
  return reentry_of(mechanism) == Reentry::kNever ? 1 : kScratchLevels;
}

Writer::Writer(const Context &context, const Needs *needs)
    : script_(context.script),
      program_(context.program),
      sources_(context.sources),
      options_(context.options),
      plan_(context.plan),
      usage_(context.usage),
      scratch_map_(context.scratch),
      stack_limit_(context.stack_limit),
      exact_counts_(context.exact_counts),
      mechanism_(context.program.probes.front().mechanism),
      needs_(needs == nullptr ? Needs{} : *needs),
      is_rehearsal_(needs == nullptr) {}

Result<std::vector<codegen::Function>> Writer::write() {
  functions_.emplace_back();
  main_ = std::make_unique<Part>(program_.name.empty() ? "program" : program_.name, 1);
  part_ = main_.get();
  at(program_.at);
  begin_main();
  if (program_.is_for_process) check_process();
  if (needs_.predicate_scratch) begin_scratch();
  place_variables();
  if (program_.predicate != nullptr) write_predicate(*program_.predicate);
  if (!needs_.predicate_scratch) begin_scratch();
  zero_variables();
  block(program_.body);
  end_main();
  found_.frame_bytes = frame_top_;
  functions_[0] = main_->builder.finish();
  part_ = nullptr;
  if (error_) return tl::unexpected<Error>(std::move(*error_));
  return std::move(functions_);
}

// Most events end here: what only the body needs is done after it.
void Writer::write_predicate(const Node &predicate) {
  at(predicate.at);
  const uint32_t scratch_before = found_.scratch_bytes;
  const Mark before = mark();
  branch(predicate, needs_.predicate_scratch ? leave_ : end_, false);
  release(before);
  found_.predicate_scratch = found_.scratch_bytes > scratch_before;
}

void Writer::begin_main() {
  end_ = b().label();
  leave_ = b().label();
  returns_ = b().variable();
  b().assign(returns_, 0);
  part_->context = b().context();
  scratch_top_ = reentry_of(mechanism_) == Reentry::kNever ? 0 : kGuardBytes;
  if (is_rehearsal_) part_->scratch = b().copy(0);
  storage_.resize(script_.variables.size());
  frame_top_ = kFrameOwn;
  if (!is_rehearsal_ && !needs_.has_callbacks) return;
  // Its size is known the second time.
  part_->frame = b().slot(is_rehearsal_ ? kWordBytes * 64 : std::max(needs_.frame_bytes, kFrameOwn));
  if (needs_.context) store(Size::k8, frame(kFrameContext), b().context());
  if (needs_.returned) store(Size::k8, frame(kFrameReturned), 0);
}

void Writer::check_process() {
  b().branch(Condition::kNotEqual, process_id(false, false), global(Global::kTargetPid), end_);
}

void Writer::begin_scratch() {
  if (needs_.scratch_bytes == 0) return;
  if (reentry_of(mechanism_) != Reentry::kNever) {
    begin_guarded_scratch();
  } else {
    Slot key = b().slot(sizeof(uint32_t), sizeof(uint32_t));
    b().store(Size::k4, key, 0, b().call(BPF_FUNC_get_smp_processor_id, {}));
    Register found = b().call(BPF_FUNC_map_lookup_elem, {Value::map(scratch_map_), key});
    b().branch_unless(found, end_);
    b().release(key);
    part_->scratch = found;
  }
  has_scratch_ = true;
  if (needs_.scratch) store(Size::k8, frame(kFrameScratch), *part_->scratch);
}

// A few memories a CPU, the first that nobody is at is taken. Interrupts give theirs back
// before anybody sees; between tasks only what is added atomically says who was first: whoever
// adds to a 0 has it, and two who come at the same time both go on to the next.
void Writer::begin_guarded_scratch() {
  const bool atomic = reentry_of(mechanism_) == Reentry::kPreempted;
  Label taken = b().label();
  Register found = b().variable();
  Slot key = b().slot(sizeof(uint32_t), sizeof(uint32_t));
  Register first = b().mul(b().call(BPF_FUNC_get_smp_processor_id, {}), kScratchLevels);
  for (uint32_t level = 0; level < kScratchLevels; level++) {
    Label next = b().label();
    b().store(Size::k4, key, 0, b().add(first, level));
    b().assign(found, b().call(BPF_FUNC_map_lookup_elem, {Value::map(scratch_map_), key}));
    b().branch_unless(found, next);
    if (atomic) {
      b().atomic_add(Size::k8, found, 0, 1);
      b().branch(Condition::kEqual, b().load(Size::k8, found), 1, taken);
      b().atomic_add(Size::k8, found, 0, -1);
    } else {
      b().branch_unless(b().load(Size::k8, found), taken);
    }
    b().bind(next);
  }
  count_lost();
  b().jump(end_);
  b().bind(taken);
  if (!atomic) b().store(Size::k8, found, 0, 1);
  b().release(key);
  part_->scratch = found;
}

void Writer::end_main() {
  b().bind(leave_);
  if (has_scratch_) {
    if (reentry_of(mechanism_) == Reentry::kNested) b().store(Size::k8, *part_->scratch, 0, 0);
    if (reentry_of(mechanism_) == Reentry::kPreempted) b().atomic_add(Size::k8, *part_->scratch, 0, -1);
  }
  b().bind(end_);
  b().ret(returns_);
}

void Writer::place_variables() {
  for (uint32_t i = 0; i < storage_.size(); i++) {
    const VariableUsage &usage = usage_.variables[i];
    const Type &type = script_.variables[i].type;
    if (!usage.is_used) continue;
    Storage &storage = storage_[i];
    const uint32_t bytes = std::max(type.bytes(), 1u);
    if (is_scalar(type) && !usage.in_callback && !usage.has_address) {
      storage.kind = Storage::Kind::kRegister;
      storage.in = b().variable();
    } else if (bytes > std::max(stack_limit_, kWordBytes)) {
      storage.kind = Storage::Kind::kScratch;
      storage.offset = take_scratch(bytes);
    } else if (usage.in_callback) {
      storage.kind = Storage::Kind::kFrame;
      storage.offset = frame_top_;
      frame_top_ += rounded_to_words(bytes);
    } else {
      storage.kind = Storage::Kind::kSlot;
      storage.slot = b().slot(rounded_to_words(bytes));
    }
  }
}

void Writer::zero_variables() {
  for (uint32_t i = 0; i < storage_.size(); i++) {
    const VariableUsage &usage = usage_.variables[i];
    if (!usage.is_used) continue;
    const Type &type = script_.variables[i].type;
    // A register's 0 that nobody reads costs nothing.
    if (storage_[i].kind == Storage::Kind::kRegister)
      b().assign(storage_[i].in, 0);
    else if (usage.needs_zero || usage.has_address)
      zero(variable_memory(i), type.bytes());
  }
}

void Writer::at(const Location &location) {
  // Lines are of one text: what a macro of another says has none.
  if (location.source != program_.at.source) return;
  LineColumn place = sources_.at(location.source).place(location.begin);
  b().at({place.line, place.column});
}

void Writer::release(const Mark &mark) {
  std::vector<Slot> &temporaries = part_->temporaries;
  while (temporaries.size() > mark.temporaries) {
    b().release(temporaries.back());
    temporaries.pop_back();
  }
  scratch_top_ = mark.scratch_top;
}

Writer::Memory Writer::temporary(uint32_t bytes) {
  if (bytes > std::max(stack_limit_, kWordBytes)) return scratch_at(take_scratch(bytes));
  Slot slot = b().slot(rounded_to_words(std::max(bytes, 1u)));
  part_->temporaries.push_back(slot);
  return {slot};
}

uint32_t Writer::take_scratch(uint32_t bytes) {
  const uint32_t offset = scratch_top_;
  scratch_top_ += rounded_to_words(bytes);
  found_.scratch_bytes = std::max(found_.scratch_bytes, scratch_top_);
  return offset;
}

Writer::Memory Writer::scratch_at(uint32_t offset) {
  if (is_callback()) found_.scratch = true;
  CHECK(part_->scratch.has_value());
  return {*part_->scratch, offset};
}

uint32_t Writer::frame_word() {
  frame_top_ += kWordBytes;
  return frame_top_ - kWordBytes;
}

codegen::Register Writer::context() {
  if (is_callback()) found_.context = true;
  CHECK(part_->context.has_value());
  return *part_->context;
}

codegen::Value Writer::zeros(uint32_t bytes) {
  found_.zero_bytes = std::max(found_.zero_bytes, bytes);
  return Value::map_value(plan_.zeros());
}

void Writer::begin_callback() {
  found_.has_callbacks = true;
  if (is_rehearsal_ || needs_.context) part_->context = b().load(Size::k8, part_->frame, kFrameContext);
  if (is_rehearsal_ || needs_.scratch) part_->scratch = b().load(Size::k8, part_->frame, kFrameScratch);
}

void Writer::set_returned() {
  found_.returned = true;
  store(Size::k8, frame(kFrameReturned), 1);
}

codegen::Register Writer::load_returned() {
  return load(Size::k8, frame(kFrameReturned));
}

void Writer::fault(ErrorCode code, const Location &at, std::string what, std::string why, std::string fix) {
  if (error_) return;
  const Source &source = sources_.at(at.source);
  LineColumn place = source.place(at.begin);
  error_ = Error{code, fmt::format("{}:{}:{}: {}", source.name, place.line, place.column, what), std::move(why),
                 std::move(fix)};
}

void Writer::unsupported(const Location &at, std::string what, std::string_view helper, std::string_view since) {
  fault(ErrorCode::kUnsupported, at, std::move(what), fmt::format("this kernel has no {}", helper),
        fmt::format("Linux {} has it", since));
}

}  // namespace waggle::script
