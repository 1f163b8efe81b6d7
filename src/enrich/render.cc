#include "enrich/render.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <ctime>
#include <iterator>

#include "base/quantity.h"
#include "base/text.h"
#include "kernel/names.h"
#include "kernel/names_btf.h"

namespace waggle {
namespace {

void append_number(std::string &out, const Column &column, Row row) {
  if (column.is_signed)
    out += fmt::format_int(integer(column, row)).c_str();
  else
    out += fmt::format_int(natural(column, row)).c_str();
}

void append_two_digits(std::string &out, int value) {
  out += static_cast<char>('0' + value / 10);
  out += static_cast<char>('0' + value % 10);
}

// A name, or the number where the kernel has no name for it.
void append_name(std::string &out, std::string_view name, int64_t number) {
  if (name.empty())
    out += fmt::format_int(number).c_str();
  else
    append_printable(out, name);
}

// Kinds whose numbers mean something else on the next kernel, or nothing to a
// reader: JSON carries their names.
bool json_by_name(Kind kind) {
  switch (kind) {
    case Kind::kFilesystem:
    case Kind::kFileOp:
    case Kind::kBlockOp:
    case Kind::kTcpState:
    case Kind::kTcpCaState:
    case Kind::kResetReason:
    case Kind::kDnsType:
    case Kind::kDnsRcode:
    case Kind::kDropReason:
    case Kind::kEtherType:
    case Kind::kIpProtocol:
    case Kind::kDevice:
    case Kind::kSyscall:
    case Kind::kKernelAddress:
    case Kind::kIp:
    case Kind::kTaskState:
    case Kind::kSoftirq:
    case Kind::kLockFlags:
    case Kind::kFutexOp:
    case Kind::kSignalCode:
    case Kind::kSignalResult:
    case Kind::kCapability:
    case Kind::kMountFlags:
    case Kind::kUmountFlags:
    case Kind::kPtraceRequest:
    case Kind::kBpfCommand:
    case Kind::kBpfProgram:
    case Kind::kBpfMap:
    case Kind::kTaints:
    case Kind::kAddress:
      return true;
    default:
      return false;
  }
}

// 0 for times that no clock shows: a recording may hold any.
int64_t wall_of(uint64_t monotonic_ns, int64_t offset_ns) {
  auto wall = static_cast<int64_t>(monotonic_ns + static_cast<uint64_t>(offset_ns));
  return wall < 0 ? 0 : wall;
}

std::string_view file_op_name(int64_t op) {
  static constexpr std::string_view kNames[] = {"read", "write", "open", "fsync"};  // enum wg_file_ops
  return op >= 0 && op < 4 ? kNames[op] : std::string_view{};
}

std::string_view signal_result_name(int64_t result) {
  static constexpr std::string_view kNames[] = {"delivered", "ignored", "already_pending", "overflow_fail",
                                                "lose_info", "checked", "failed"};  // enum wg_signal_results
  return result >= 0 && result < 7 ? kNames[result] : std::string_view{};
}

// As dirname(1) says it: "/" of "/x", "." of "x".
std::string_view directory_of(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return path.empty() ? path : ".";
  while (slash > 0 && path[slash - 1] == '/') slash--;
  return path.substr(0, slash == 0 ? 1 : slash);
}

bool needs_quotes(std::string_view argument) {
  if (argument.empty()) return true;
  for (char c : argument) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 std::string_view("_-./:=,+@%^").find(c) != std::string_view::npos ||
                 (static_cast<unsigned char>(c) & 0x80) != 0;
    if (!plain) return true;
  }
  return false;
}

std::vector<std::string_view> arguments_of(std::string_view nul_separated) {
  if (nul_separated.empty()) return {};
  // A NUL ends each argument, but the last one where it was cut off.
  if (nul_separated.back() == '\0') nul_separated.remove_suffix(1);
  // split() makes nothing of "", but one empty argument is an argument.
  if (nul_separated.empty()) return {nul_separated};
  return split(nul_separated, '\0');
}

}  // namespace

bool is_named_by_host(Kind kind) {
  return kind == Kind::kUid || kind == Kind::kGid || (kind != Kind::kIp && json_by_name(kind));
}

void append_ip(std::string &out, std::span<const uint8_t, 16> address) {
  static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  char text[INET6_ADDRSTRLEN];
  if (memcmp(address.data(), kMapped, sizeof(kMapped)) == 0)
    inet_ntop(AF_INET, address.data() + 12, text, sizeof(text));
  else
    inet_ntop(AF_INET6, address.data(), text, sizeof(text));
  out += text;
}

void append_command_line(std::string &out, std::string_view nul_separated) {
  bool first = true;
  for (std::string_view argument : arguments_of(nul_separated)) {
    if (!first) out += ' ';
    first = false;
    if (!needs_quotes(argument)) {
      append_printable(out, argument);
      continue;
    }
    out += '\'';
    for (size_t quote; (quote = argument.find('\'')) != std::string_view::npos; argument.remove_prefix(quote + 1)) {
      append_printable(out, argument.substr(0, quote));
      out += "'\\''";
    }
    append_printable(out, argument);
    out += '\'';
  }
}

void Renderer::append_wall_clock(std::string &out, uint64_t monotonic_ns) {
  int64_t wall = wall_of(monotonic_ns, host_->wall_minus_monotonic_ns());
  turn_clock(wall / 1'000'000'000);
  out += clock_;
  fmt::format_to(std::back_inserter(out), ".{:06}", wall % 1'000'000'000 / 1000);
}

void Renderer::append_rfc3339(std::string &out, uint64_t monotonic_ns) {
  int64_t wall = wall_of(monotonic_ns, host_->wall_minus_monotonic_ns());
  turn_clock(wall / 1'000'000'000);
  out += date_;
  char fraction[] = ".000000000Z";
  int64_t ns = wall % 1'000'000'000;
  for (int digit = 9; digit >= 1; digit--, ns /= 10) fraction[digit] = static_cast<char>('0' + ns % 10);
  out += fraction;
}

// Calendars are slow; a second is asked for once.
void Renderer::turn_clock(int64_t second) {
  if (second == second_) return;
  second_ = second;
  time_t at = second;
  tm local = {}, utc = {};
  localtime_r(&at, &local);
  gmtime_r(&at, &utc);
  clock_.clear();
  append_two_digits(clock_, local.tm_hour);
  clock_ += ':';
  append_two_digits(clock_, local.tm_min);
  clock_ += ':';
  append_two_digits(clock_, local.tm_sec);
  date_ = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                      utc.tm_hour, utc.tm_min, utc.tm_sec);
}

void Renderer::append_text(std::string &out, const Field &field, Row row) {
  if (field.follow != Follow::kNothing)
    append_followed_text(out, field, row);
  else if (field.column->kind == Kind::kStack)
    append_stack_text(out, field, row);
  else if (field.column->kind == Kind::kArguments)
    append_arguments_text(out, field, row);
  else
    append_column_text(out, *field.column, row);
}

void Renderer::append_stack_text(std::string &out, const Field &field, Row row) {
  bool first = true;
  for (const std::string &frame : frames(field, row)) {
    if (!first) out += ';';
    first = false;
    append_printable(out, frame);
  }
}

// Six registers by what the function takes; all of them where that is not known.
std::vector<FunctionArgument> Renderer::arguments_of_call(const Field &field, Row row) {
  std::array<uint64_t, 6> registers = arguments(*field.column, row);
  const std::vector<FunctionParameter> *parameters =
      field.owner == nullptr ? nullptr : host_->kernel_parameters(natural(*field.owner, row));
  std::vector<FunctionArgument> found;
  for (size_t i = 0; i < registers.size() && (parameters == nullptr || i < parameters->size()); i++) {
    if (parameters == nullptr) {
      found.push_back({fmt::format("arg{}", i), fmt::format("{:#x}", registers[i]), true});
      continue;
    }
    const FunctionParameter &parameter = (*parameters)[i];
    int64_t value = parameter.value(registers[i]);
    FunctionArgument argument{parameter.name, {}, false};
    if (argument.name.empty()) argument.name = fmt::format("arg{}", i);
    std::string_view name = parameter.enumerator(value);
    if (parameter.form == FunctionParameter::Form::kPointer)
      argument = {argument.name, fmt::format("{:#x}", static_cast<uint64_t>(value)), true};
    else if (!name.empty())
      argument = {argument.name, std::string(name), true};
    else if (parameter.form == FunctionParameter::Form::kBool)
      argument.value = value != 0 ? "true" : "false";
    else if (parameter.form == FunctionParameter::Form::kUnsigned)
      argument.value = fmt::format("{}", static_cast<uint64_t>(value));
    else
      argument.value = fmt::format("{}", value);
    found.push_back(std::move(argument));
  }
  return found;
}

void Renderer::append_arguments_text(std::string &out, const Field &field, Row row) {
  std::string_view separator;
  for (const FunctionArgument &argument : arguments_of_call(field, row)) {
    fmt::format_to(std::back_inserter(out), "{}{}={}", separator, argument.name, argument.value);
    separator = " ";
  }
}

void Renderer::append_arguments_json(std::string &out, const Field &field, Row row) {
  out += '{';
  std::string_view separator;
  for (const FunctionArgument &argument : arguments_of_call(field, row)) {
    out += separator;
    append_json_string(out, argument.name);
    out += ':';
    if (argument.is_text)
      append_json_string(out, argument.value);
    else
      out += argument.value;
    separator = ",";
  }
  out += '}';
}

void Renderer::append_column_text(std::string &out, const Column &column, Row row) {
  switch (column.kind) {
    case Kind::kTime:
      return append_wall_clock(out, natural(column, row));
    case Kind::kDuration:
      return append_duration(out, natural(column, row));
    case Kind::kBytes:
      return append_bytes(out, natural(column, row));
    case Kind::kCount:
      return append_count(out, natural(column, row));
    case Kind::kErrno:
      return integer(column, row) == 0 ? void(out += '-')
                                       : append_name(out, errno_name(integer(column, row)), integer(column, row));
    case Kind::kSignal:
      return integer(column, row) == 0 ? void(out += '-')
                                       : append_name(out, signal_name(integer(column, row)), integer(column, row));
    case Kind::kUid:
      return append_name(out, host_->user_name(static_cast<uint32_t>(natural(column, row))), integer(column, row));
    case Kind::kGid:
      return append_name(out, host_->group_name(static_cast<uint32_t>(natural(column, row))), integer(column, row));
    case Kind::kOpenFlags:
      out += open_flags_text(natural(column, row));
      return;
    case Kind::kMode:
      out += file_mode_text(static_cast<uint32_t>(natural(column, row)));
      return;
    case Kind::kArgv:
      return append_command_line(out, text(column, row));
    case Kind::kHistogram: {
      Histogram values = histogram(column, row);
      append_count(out, values.count);
      return;
    }
    default:
      break;
  }
  if (json_by_name(column.kind))
    append_name_of(out, column, row);
  else if (column.is_text())
    append_printable(out, text(column, row));
  else
    append_number(out, column, row);
}

void Renderer::append_name_of(std::string &out, const Column &column, Row row) {
  if (column.kind == Kind::kIp) return append_ip(out, ip(column, row));
  int64_t number = integer(column, row);
  if (const std::string *told = host_->told_name(column.kind, static_cast<uint64_t>(number))) {
    append_printable(out, *told);
    return;
  }
  switch (column.kind) {
    case Kind::kFilesystem:
      if (std::string_view name = filesystem_name(static_cast<uint64_t>(number)); !name.empty())
        out += name;
      else
        fmt::format_to(std::back_inserter(out), "{:#x}", number);
      return;
    case Kind::kFileOp:
      return append_name(out, file_op_name(number), number);
    case Kind::kBlockOp: {
      append_name(out, block_op_name(static_cast<uint64_t>(number)), number & 0xff);
      std::string flags = block_flags_text(static_cast<uint64_t>(number));
      if (!flags.empty()) out += '|' + flags;
      return;
    }
    case Kind::kTcpState:
      return append_name(out, tcp_state_name(number), number);
    case Kind::kTcpCaState:
      return append_name(out, tcp_ca_state_name(number), number);
    case Kind::kResetReason:
      return append_name(out, reset_reason_name(static_cast<uint32_t>(number)), number);
    case Kind::kDnsType:
      return append_name(out, dns_type_name(number), number);
    case Kind::kDnsRcode:
      return append_name(out, dns_rcode_name(number), number);
    case Kind::kDropReason:
      return append_name(out, drop_reason_name(static_cast<uint32_t>(number)), number);
    case Kind::kEtherType:
      return append_name(out, ether_type_name(number), number);
    case Kind::kIpProtocol:
      return append_name(out, ip_protocol_name(number), number);
    case Kind::kSyscall:
      return append_name(out, syscall_name(number), number);
    case Kind::kTaskState:
      return append_name(out, task_state_name(static_cast<uint64_t>(number)), number);
    case Kind::kSoftirq:
      return append_name(out, softirq_name(number), number);
    case Kind::kLockFlags:
      return append_name(out, lock_name(static_cast<uint64_t>(number)), number);
    case Kind::kFutexOp:
      return append_name(out, futex_op_name(number), number);
    case Kind::kDevice:
      return append_printable(out, host_->device_name(static_cast<uint32_t>(number)));
    case Kind::kKernelAddress:
      return append_printable(out, host_->kernel_symbol(static_cast<uint64_t>(number), true));
    case Kind::kSignalCode:
      return append_name(out, signal_code_name(number), number);
    case Kind::kSignalResult:
      return append_name(out, signal_result_name(number), number);
    case Kind::kCapability:
      return append_name(out, capability_name(number), number);
    case Kind::kMountFlags:
      out += mount_flags_text(static_cast<uint64_t>(number));
      return;
    case Kind::kUmountFlags:
      out += umount_flags_text(static_cast<uint64_t>(number));
      return;
    case Kind::kPtraceRequest:
      return append_name(out, ptrace_request_name(number), number);
    case Kind::kBpfCommand:
      return append_name(out, bpf_command_name(number), number);
    case Kind::kBpfProgram:
      return append_name(out, bpf_program_type_name(number), number);
    case Kind::kBpfMap:
      return append_name(out, bpf_map_type_name(number), number);
    case Kind::kTaints:
      out += taints_text(static_cast<uint64_t>(number));
      return;
    case Kind::kAddress:
      fmt::format_to(std::back_inserter(out), "{:#x}", static_cast<uint64_t>(number));
      return;
    default:
      return append_number(out, column, row);
  }
}

void Renderer::append_json(std::string &out, const Field &field, Row row) {
  if (field.follow != Follow::kNothing) {
    std::string followed;
    append_followed(followed, field, row);
    if (field.follow == Follow::kParent && !followed.empty())
      out += followed;
    else
      append_json_string(out, followed);
    return;
  }
  const Column &column = *field.column;
  switch (column.kind) {
    case Kind::kTime:
      out += '"';
      append_rfc3339(out, natural(column, row));
      out += '"';
      return;
    case Kind::kArgv: {
      char separator = '[';
      std::string_view all = text(column, row);
      if (all.empty()) out += '[';
      for (std::string_view argument : arguments_of(all)) {
        out += separator;
        append_json_string(out, argument);
        separator = ',';
      }
      out += ']';
      return;
    }
    case Kind::kStack:
      return append_stack_json(out, field, row);
    case Kind::kArguments:
      return append_arguments_json(out, field, row);
    case Kind::kHistogram: {
      Histogram values = histogram(column, row);
      fmt::format_to(std::back_inserter(out), R"({{"count":{},"sum":{},"max":{}}})", values.count, values.sum,
                     values.most);
      return;
    }
    default:
      break;
  }
  if (json_by_name(column.kind)) {
    scratch_.clear();
    append_name_of(scratch_, column, row);
    append_json_string(out, scratch_);
  } else if (column.is_text()) {
    append_json_string(out, text(column, row));
  } else {
    append_number(out, column, row);
  }
}

void Renderer::append_csv_value(std::string &out, const Field &field, Row row) {
  const Column &column = *field.column;
  if (field.follow != Follow::kNothing) return append_followed(out, field, row);
  if (column.kind == Kind::kTime) return append_rfc3339(out, natural(column, row));
  if (column.kind == Kind::kStack) return append_stack_text(out, field, row);
  if (column.kind == Kind::kArguments) return append_arguments_text(out, field, row);
  if (column.kind == Kind::kArgv) return append_command_line(out, text(column, row));
  if (column.kind == Kind::kHistogram) {
    out += fmt::format_int(histogram(column, row).count).c_str();
    return;
  }
  if (json_by_name(column.kind)) return append_name_of(out, column, row);
  if (column.is_text())
    out += text(column, row);
  else
    append_number(out, column, row);
}

void Renderer::append_key(std::string &out, const Field &field, Row row) {
  const Column &column = *field.column;
  if (field.follow != Follow::kNothing) return append_followed(out, field, row);
  // Bits that say nothing in the name tell no groups apart.
  if (column.kind == Kind::kTaskState) return append_name_of(out, column, row);
  if (column.is_text()) {
    out += text(column, row);
    return;
  }
  size_t end = std::min<size_t>(row.size(), column.offset + column.size);
  if (column.offset < end) out.append(reinterpret_cast<const char *>(row.data()) + column.offset, end - column.offset);
}

bool is_frame_of_tracer(std::string_view kernel_symbol) {
  if (kernel_symbol.starts_with("bpf_prog_") && kernel_symbol.ends_with(" [bpf]")) return true;
  for (std::string_view part : {"bpf_trace_run", "__bpf_trace_", "__traceiter_", "bpf_get_stack"})
    if (kernel_symbol.starts_with(part)) return true;
  return false;
}

Renderer::NamedStack Renderer::named_stack(const Field &field, Row row) {
  CHECK(field.column->kind == Kind::kStack);
  Stack addresses = stack(*field.column, row);
  NamedStack named;
  for (uint64_t address : addresses.kernel) {
    std::string name = host_->kernel_symbol(address, false);
    if (named.kernel.empty() && is_frame_of_tracer(name)) continue;
    named.kernel.push_back(std::move(name) + "_[k]");
  }
  uint32_t pid = field.owner == nullptr ? 0 : static_cast<uint32_t>(natural(*field.owner, row));
  for (size_t i = 0; i < addresses.user.size(); i++)
    named.user.push_back(host_->user_symbol(pid, addresses.user[i], /*is_return_address=*/i > 0));
  return named;
}

std::vector<std::string> Renderer::frames(const Field &field, Row row) {
  NamedStack named = named_stack(field, row);
  std::vector<std::string> names = std::move(named.kernel);
  std::move(named.user.begin(), named.user.end(), std::back_inserter(names));
  return names;
}

void Renderer::append_stack_json(std::string &out, const Field &field, Row row) {
  NamedStack named = named_stack(field, row);
  auto put = [&](const std::vector<std::string> &names) {
    out += '[';
    for (size_t i = 0; i < names.size(); i++) {
      if (i > 0) out += ',';
      append_json_string(out, names[i]);
    }
    out += ']';
  };
  out += "{\"kernel\":";
  put(named.kernel);
  out += ",\"user\":";
  put(named.user);
  out += '}';
}

// Directories, cgroups and command lines are named by whoever made them.
void Renderer::append_followed_text(std::string &out, const Field &field, Row row) {
  std::string followed;
  append_followed(followed, field, row);
  append_printable(out, followed);
}

void Renderer::append_followed(std::string &out, const Field &field, Row row) {
  if (field.column->kind == Kind::kPath) {
    out += directory_of(text(*field.column, row));
    return;
  }
  uint64_t value = natural(*field.column, row);
  switch (field.column->kind) {
    case Kind::kUid:
      append_name(out, host_->user_name(static_cast<uint32_t>(value)), static_cast<int64_t>(value));
      return;
    case Kind::kGid:
      append_name(out, host_->group_name(static_cast<uint32_t>(value)), static_cast<int64_t>(value));
      return;
    case Kind::kDevice:
      out += host_->mount_point(static_cast<uint32_t>(value));
      return;
    case Kind::kCgroup:
      host_->append_of_cgroup(out, field.follow, value);
      return;
    default:
      host_->append_of_process(out, field.follow, static_cast<uint32_t>(value),
                               field.when == nullptr ? 0 : natural(*field.when, row));
      return;
  }
}

}  // namespace waggle
