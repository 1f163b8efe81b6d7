// What the kernel and the probe's context say.
#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "format/stapsdt.h"
#include "script/lower/writer.h"

namespace waggle::script {
namespace {

constexpr uint64_t kThreadMask = UINT32_MAX;

// Of struct pt_regs.
#if defined(__x86_64__)
constexpr uint32_t kInstructionPointer = 128, kStackPointer = 152, kModeRegister = 136, kModeMask = 3, kUserMode = 3;
#elif defined(__aarch64__)
constexpr uint32_t kInstructionPointer = 256, kStackPointer = 248, kModeRegister = 264, kModeMask = 15, kUserMode = 0;
#else
#error "say where the registers are"
#endif

// What struct bpf_pidns_info has.
constexpr uint32_t kNamespaceIdBytes = 8, kNamespaceProcess = 4;

}  // namespace

// False: it is none of these.
bool Writer::builtin(const Node &node, Value &value) {
  switch (node.op) {
    case Op::kPid:
      value = process_id(false, node.number == 1);
      return true;
    case Op::kTid:
      value = process_id(true, node.number == 1);
      return true;
    case Op::kUid:
      value = b().narrow(Size::k4, false, b().call(BPF_FUNC_get_current_uid_gid, {}));
      return true;
    case Op::kGid:
      value = b().shift_right(b().call(BPF_FUNC_get_current_uid_gid, {}), 32);
      return true;
    case Op::kCpu:
      value = b().call(BPF_FUNC_get_smp_processor_id, {});
      return true;
    case Op::kNumaNode:
      value = b().call(BPF_FUNC_get_numa_node_id, {});
      return true;
    case Op::kCgroup:
      value = b().call(BPF_FUNC_get_current_cgroup_id, {});
      return true;
    case Op::kCurtask:
      value = b().call(BPF_FUNC_get_current_task, {});
      return true;
    case Op::kRandom:
      value = b().narrow(Size::k4, false, b().call(BPF_FUNC_get_prandom_u32, {}));
      return true;
    case Op::kNanoseconds:
      value = nanoseconds(node.number);
      return true;
    case Op::kElapsed:
      value = b().sub(nanoseconds(1), global(Global::kStarted));
      return true;
    case Op::kJiffies:
      value = b().call(BPF_FUNC_jiffies64, {});
      return true;
    case Op::kFunction:
      value = function_address();
      return true;
    case Op::kContextAddress:
      value = launder(context());
      return true;
    case Op::kUserMode:
      value = user_mode();
      return true;
    case Op::kGlobal:
      value = global(static_cast<Global>(node.number));
      return true;
    case Op::kContextWord:
      value = context_word(node);
      return true;
    case Op::kContextData:
      value = context_data(node);
      return true;
    case Op::kRegister:
      value = narrow(node.type, pt_register(static_cast<uint32_t>(node.number)));
      return true;
    case Op::kStackArgument: {
      const bool is_user = mechanism_ != Mechanism::kKprobe && mechanism_ != Mechanism::kKprobeMulti;
      Place place{is_user ? Place::Space::kUser : Place::Space::kKernel, pt_register(kStackPointer),
                  node.number * kWordBytes, node.action};
      value = narrow(node.type, read(place, Type::integer(kWordBytes, false)));
      return true;
    }
    case Op::kUsdtArgument:
      value = usdt_argument(node);
      return true;
    case Op::kAddress: {
      Place of = place(*node.in[0]);
      value = place_address(of);
      if (of.space == Place::Space::kContext) value = launder(value);
      return true;
    }
    case Op::kVariableAddress:
      value = address(variable_memory(static_cast<uint32_t>(node.number)));
      return true;
    case Op::kMapAddress:
      value = is_array(script_.maps[node.map]) && !is_per_cpu(script_.maps[node.map])
                  ? address(map_memory(node.map))
                  : Value(lookup(node.map, map_key(node.map, node.in.empty() ? nullptr : node.in[0])));
      return true;
    case Op::kSocketCookie:
      value = b().call(BPF_FUNC_get_socket_cookie, {typed_pointer(*node.in[0])});
      return true;
    case Op::kStringsEqual: {
      Register different = b().variable();
      Label end = b().label();
      b().assign(different, 0);
      branch_strings(*node.in[0], *node.in[1], static_cast<uint64_t>(node.number), end, true);
      b().assign(different, 1);
      b().bind(end);
      value = different;
      return true;
    }
    case Op::kStringFind:
      value = string_find(node);
      return true;
    case Op::kStringLength:
      value = string_length(node);
      return true;
    case Op::kMemoryCompare:
      value = compare_memory(node);
      return true;
    case Op::kByteSwap: {
      Value from = scalar(*node.in[0]);
      value = node.type.bytes() == 1 ? from : narrow(node.type, b().byte_swap(size_of(node.type), from));
      return true;
    }
    case Op::kSymbol:
    case Op::kUsername:
    case Op::kErrno:
      if (!is_scalar(node.type)) return false;
      value = scalar(*node.in[0]);
      return true;
    case Op::kPerCpuAddress:
      value = per_cpu_address(node);
      return true;
    case Op::kKernelStack:
      value = stack(node);
      return true;
    case Op::kStackLength:
      value = stack_length(node);
      return true;
    case Op::kSignal:
      value = b().call(node.number == 1 ? BPF_FUNC_send_signal_thread : BPF_FUNC_send_signal, {scalar(*node.in[0])});
      return true;
    case Op::kOverride:
      value = b().call(BPF_FUNC_override_return, {context(), scalar(*node.in[0])});
      return true;
    case Op::kWriteUser: {
      Value to = scalar(*node.in[0]);
      const Node &written = *node.in[1];
      Memory from = memory(written);
      value = b().call(BPF_FUNC_probe_write_user, {to, address(from), written.type.bytes()});
      return true;
    }
    default:
      return false;
  }
}

bool Writer::write_builtin(const Node &node, const Memory &to, bool clean) {
  switch (node.op) {
    case Op::kComm:
      b().call(BPF_FUNC_get_current_comm, {address(to), node.type.bytes()});
      return true;
    case Op::kString:
      write_string(node, to, clean);
      return true;
    case Op::kBuffer:
      write_buffer(node, to, clean);
      return true;
    case Op::kPath:
      write_path(node, to, clean);
      return true;
    case Op::kInet:
      write_inet(node, to);
      return true;
    case Op::kSymbol:
    case Op::kUserStack:
      store(Size::k8, to, node.op == Op::kSymbol ? scalar(*node.in[0]) : stack(node));
      // Whose addresses they are is looked up by waggle, by the number that it knows.
      store(Size::k4, to.at(8), process_id(false, false));
      store(Size::k4, to.at(12), 0);
      return true;
    case Op::kMacAddress:
      read_into(place(*node.in[0]), Type::array(Type::integer(1, false), 6), to, false);
      return true;
    case Op::kCgroupPath:
      store(Size::k8, to, node.number);
      store(Size::k8, to.at(8), scalar(*node.in[0]));
      return true;
    case Op::kTimestamp:
      store(Size::k8, to, scalar(*node.in[0]));
      store(Size::k8, to.at(8), node.number);
      return true;
    default:
      return false;
  }
}

codegen::Value Writer::process_id(bool wants_thread, bool initial_namespace) {
  if (!options_.has_namespace_pid || initial_namespace) {
    Register both = b().call(BPF_FUNC_get_current_pid_tgid, {});
    return wants_thread ? b().bit_and(both, kThreadMask) : b().shift_right(both, 32);
  }
  // A process that the namespace does not know is 0 there.
  Memory ids = temporary(kNamespaceIdBytes);
  store(Size::k8, ids, 0);
  b().call(BPF_FUNC_get_ns_current_pid_tgid,
           {global(Global::kNamespaceDevice), global(Global::kNamespaceInode), address(ids), kNamespaceIdBytes});
  return load(Size::k4, ids.at(wants_thread ? 0 : kNamespaceProcess));
}

codegen::Value Writer::nanoseconds(int64_t clock) {
  constexpr int64_t kMonotonic = 0, kBoot = 1, kTai = 2;
  if (clock == kMonotonic) return b().call(BPF_FUNC_ktime_get_ns, {});
  if (clock == kTai && options_.has_tai) return b().call(BPF_FUNC_ktime_get_tai_ns, {});
  Value boot = b().call(BPF_FUNC_ktime_get_boot_ns, {});
  return clock == kBoot ? boot : Value(b().add(boot, global(Global::kTaiOffset)));
}

codegen::Value Writer::global(Global which) {
  return b().load(Size::k8, Value::map_value(plan_.globals()), static_cast<int32_t>(which) * 8);
}

// The verifier forbids nearly all arithmetic on pointers that it knows. Of a number whose
// bytes were swapped, twice, it knows nothing.
codegen::Value Writer::launder(const Value &pointer) {
  return b().byte_swap(Size::k8, b().byte_swap(Size::k8, pointer));
}

codegen::Value Writer::context_word(const Node &node) {
  Value word = b().load(Size::k8, context(), static_cast<int32_t>(node.number));
  const bool is_typed =
      mechanism_ == Mechanism::kTpBtf || mechanism_ == Mechanism::kFentry || mechanism_ == Mechanism::kIterator;
  // Also what is a pointer for the kernel alone: `(uint64)args.skb`.
  if (is_typed && node.type.bytes() == kWordBytes) word = launder(word);
  return narrow(node.type, word);
}

codegen::Value Writer::pt_register(uint32_t offset) {
  return b().load(Size::k8, context(), static_cast<int32_t>(offset));
}

codegen::Value Writer::function_address() {
  const bool is_user =
      mechanism_ == Mechanism::kUprobe || mechanism_ == Mechanism::kUprobeMulti || mechanism_ == Mechanism::kUsdt;
  // Where a function is entered, its address is where the process is.
  if (is_user && !is_return_probe(program_.probes.front().point.provider)) return pt_register(kInstructionPointer);
  if (options_.has_function_address && (has_registers(mechanism_) || mechanism_ == Mechanism::kFentry) &&
      mechanism_ != Mechanism::kPerfEvent)
    return b().call(BPF_FUNC_get_func_ip, {context()});
  if (has_registers(mechanism_)) return pt_register(kInstructionPointer);
  unsupported(program_.at, "func cannot be known here", "bpf_get_func_ip", "5.15");
  return 0;
}

codegen::Value Writer::user_mode() {
  if (!has_registers(mechanism_)) return 0;
  return b().compare(Condition::kEqual, b().bit_and(pt_register(kModeRegister), kModeMask), kUserMode);
}

codegen::Value Writer::usdt_argument(const Node &node) {
  const std::vector<UsdtArgument> &arguments = program_.probes.front().place.arguments;
  const auto index = static_cast<size_t>(node.number);
  CHECK(index < arguments.size());
  const UsdtArgument &argument = arguments[index];
  const Type type = Type::integer(std::max<uint32_t>(argument.bytes, 1), argument.is_signed);
  auto read_register = [&](int8_t number) { return pt_register(static_cast<uint32_t>(number) * kWordBytes); };
  Value value = argument.constant;
  switch (argument.where) {
    case UsdtArgument::Where::kConstant:
      break;
    case UsdtArgument::Where::kRegister:
      value = b().shift_right(read_register(argument.base), argument.shift);
      break;
    case UsdtArgument::Where::kMemory: {
      Value at = 0;
      if (argument.base >= 0) at = read_register(argument.base);
      if (argument.index >= 0) at = b().add(at, b().mul(read_register(argument.index), argument.scale));
      value = read({Place::Space::kUser, at, argument.constant, node.action}, type);
      break;
    }
    case UsdtArgument::Where::kUnknown:
      fault(ErrorCode::kUnsupported, node.at, fmt::format("arg{} cannot be read", index),
            "the probe has it neither in a general register nor in memory", {});
      return 0;
  }
  return narrow(node.type, narrow(type, value));
}

codegen::Value Writer::context_data(const Node &node) {
  constexpr uint32_t kWord = 4, kOffsetMask = 0xffff;
  Value where = b().bit_and(b().load(Size::k4, context(), static_cast<int32_t>(node.number)), kOffsetMask);
  Value from = launder(context());
  if (node.is_relative) from = b().add(from, node.number + kWord);
  return b().add(from, where);
}

codegen::Value Writer::per_cpu_address(const Node &node) {
  if (options_.per_cpu_offsets == 0) {
    fault(ErrorCode::kUnsupported, node.at, "addresses of per-CPU data are not known",
          "the kernel's symbol __per_cpu_offset cannot be read", "run as root, with kernel.kptr_restrict=0 or 1");
    return 0;
  }
  Value address = scalar(*node.in[0]);
  Value cpu = node.in.size() > 1 ? scalar(*node.in[1]) : Value(b().call(BPF_FUNC_get_smp_processor_id, {}));
  Value at = b().add(b().mul(cpu, kWordBytes), options_.per_cpu_offsets);
  return b().add(address, read({Place::Space::kKernel, at, 0, node.action}, Type::integer(kWordBytes, false)));
}

// The family, then 4 or 16 bytes in network order and zeros.
void Writer::write_inet(const Node &node, const Memory &to) {
  constexpr uint32_t kAddressBytes = 16;
  Value family = scalar(*node.in[0]);
  const Node &from = *node.in[1];
  const uint32_t bytes = std::min(from.type.bytes(), kAddressBytes);
  store(Size::k8, to, family);
  Memory content = to.at(kWordBytes);
  if (is_scalar(from.type)) {
    store(Size::k4, content, scalar(from));
    zero(content.at(4), kAddressBytes - 4);
    return;
  }
  Place place = this->place(from);
  if (place.space == Place::Space::kBpf)
    copy_bytes(content, {place.base, place.offset}, bytes);
  else if (place.space == Place::Space::kContext)
    copy_context(place, bytes, content);
  else
    probe_read(place, bytes, content);
  zero(content.at(bytes), kAddressBytes - bytes);
}

}  // namespace waggle::script
