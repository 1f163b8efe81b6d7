// What a program tells waggle: records in the ring, written where they will be read.
#include <algorithm>

#include "base/check.h"
#include "script/lower/writer.h"

namespace waggle::script {
namespace {

constexpr uint32_t kHeaderBytes = 8;
// Of its own accord the runtime looks every few milliseconds: a wake-up takes 3 µs, ten times
// as long as an event. When so much of the ring is full it is told, and then again after
// each part of it.
constexpr uint64_t kFullPart = 4, kAgainPart = 16;
// BPF_RB_*, as numbers.
constexpr uint64_t kNoWakeUp = BPF_RB_NO_WAKEUP, kWakeUp = BPF_RB_FORCE_WAKEUP, kUnread = BPF_RB_AVAIL_DATA;

}  // namespace

template <typename Row>
void Writer::send(uint32_t action, uint32_t row_bytes, Row row) {
  const uint32_t bytes = (kHeaderBytes + row_bytes + 7) / 8 * 8;
  Label lost = b().label(), end = b().label();
  Register record = b().call(BPF_FUNC_ringbuf_reserve, {Value::map(plan_.ring()), bytes, 0});
  b().branch_unless(record, lost);
  store(Size::k8, {record}, action);
  row(Memory{record, kHeaderBytes});
  b().call(BPF_FUNC_ringbuf_submit, {record, wake_up_flags(action, bytes)});
  b().jump(end);
  b().bind(lost);
  count_lost();
  b().bind(end);
}

codegen::Value Writer::wake_up_flags(uint32_t action, uint32_t bytes) {
  const Action::Kind kind = script_.actions[action].kind;
  if (kind == Action::Kind::kExit || kind == Action::Kind::kFail) return kWakeUp;
  if (options_.ring_bytes == 0) return kNoWakeUp;
  Register flags = b().variable();
  Label end = b().label();
  Register unread = b().call(BPF_FUNC_ringbuf_query, {Value::map(plan_.ring()), kUnread});
  b().assign(flags, kNoWakeUp);
  b().branch(Condition::kBelowEqual, unread, options_.ring_bytes / kFullPart, end);
  Register since = b().bit_and(unread, options_.ring_bytes / kAgainPart - 1);
  b().branch(Condition::kAboveEqual, since, bytes + kHeaderBytes, end);
  b().assign(flags, kWakeUp);
  b().bind(end);
  return flags;
}

void Writer::count_lost() {
  Memory key = temporary(sizeof(uint32_t));
  store(Size::k4, key, 0);
  Register lost = b().call(BPF_FUNC_map_lookup_elem, {Value::map(plan_.lost()), address(key)});
  Label end = b().label();
  b().branch_unless(lost, end);
  b().atomic_add(Size::k8, lost, 0, 1);
  b().bind(end);
}

// Whether a value can be written while a record is reserved: it sends none itself, and calls
// no function.
bool Writer::is_simple(const Node &node) const {
  bool simple = true;
  visit_nodes(node, [&](const Node &each) {
    switch (each.op) {
      case Op::kSequence:
      case Op::kMapLength:
      case Op::kStringFind:
      case Op::kEmit:
        simple = false;
        break;
      case Op::kMapValue:
        if (is_per_cpu(script_.maps[each.map])) simple = false;
        break;
      default:
        break;
    }
    if (each.action != kNoAction) simple = false;
  });
  return simple;
}

void Writer::emit(const Node &node) {
  const Action &action = script_.actions[node.action];
  Type row = action.row;
  if (!row.is(TypeKind::kTuple) || row.fields().size() != node.in.size()) {
    std::vector<std::pair<std::string, Type>> fields;
    for (const Node *each : node.in) fields.emplace_back("", each->type);
    row = Type::tuple(fields);
  }
  struct Early {
    Value number;
    Memory bytes;
    bool is_evaluated = false;
  };
  std::vector<Early> early(node.in.size());
  for (size_t i = 0; i < node.in.size(); i++) {
    const Node &each = *node.in[i];
    if (is_simple(each)) continue;
    early[i].is_evaluated = true;
    if (is_scalar(row.fields()[i].type))
      early[i].number = scalar(each);
    else
      early[i].bytes = memory(each);
  }
  send(node.action, row.bytes(), [&](const Memory &record) {
    zero_gaps(row, record);
    for (size_t i = 0; i < node.in.size(); i++) {
      const Field &field = row.fields()[i];
      const Memory to = record.at(field.offset);
      const Mark before = mark();
      if (is_scalar(field.type))
        store_number(field.type, to, early[i].is_evaluated ? early[i].number : scalar(*node.in[i]));
      else if (early[i].is_evaluated)
        copy(field.type, to, early[i].bytes, false);
      else
        write(*node.in[i], to, false);
      release(before);
    }
  });
}

void Writer::emit_error(uint32_t action, const Value &code) {
  send(action, sizeof(int64_t), [&](const Memory &record) { store(Size::k8, record, code); });
}

}  // namespace waggle::script
