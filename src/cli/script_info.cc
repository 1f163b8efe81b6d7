// bpftrace --info: what this kernel offers, a line "name: yes" for each thing, which people's
// scripts and test harnesses search.

#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/btf.h>
#include <sys/utsname.h>

#include <iterator>
#include <string_view>

#include "base/version.h"
#include "cli/script_command.h"
#include "kernel/features.h"
#include "kernel/kernel_btf.h"
#include "script/probes/arguments.h"

namespace waggle {
namespace {

struct Helper {
  std::string_view name;
  bpf_prog_type type;
  int id;
};
// source: include/uapi/linux/bpf.h
constexpr Helper kHelpers[] = {
    {"probe_read", BPF_PROG_TYPE_KPROBE, BPF_FUNC_probe_read},
    {"probe_read_str", BPF_PROG_TYPE_KPROBE, BPF_FUNC_probe_read_str},
    {"probe_read_user", BPF_PROG_TYPE_KPROBE, BPF_FUNC_probe_read_user},
    {"probe_read_user_str", BPF_PROG_TYPE_KPROBE, BPF_FUNC_probe_read_user_str},
    {"probe_read_kernel", BPF_PROG_TYPE_KPROBE, BPF_FUNC_probe_read_kernel},
    {"probe_read_kernel_str", BPF_PROG_TYPE_KPROBE, BPF_FUNC_probe_read_kernel_str},
    {"get_current_cgroup_id", BPF_PROG_TYPE_KPROBE, BPF_FUNC_get_current_cgroup_id},
    {"send_signal", BPF_PROG_TYPE_KPROBE, BPF_FUNC_send_signal},
    {"override_return", BPF_PROG_TYPE_KPROBE, BPF_FUNC_override_return},
    {"get_boot_ns", BPF_PROG_TYPE_KPROBE, BPF_FUNC_ktime_get_boot_ns},
    {"get_func_ip", BPF_PROG_TYPE_KPROBE, BPF_FUNC_get_func_ip},
    {"jiffies64", BPF_PROG_TYPE_KPROBE, BPF_FUNC_jiffies64},
    {"for_each_map_elem", BPF_PROG_TYPE_KPROBE, BPF_FUNC_for_each_map_elem},
    {"get_ns_current_pid_tgid", BPF_PROG_TYPE_KPROBE, BPF_FUNC_get_ns_current_pid_tgid},
    {"map_lookup_percpu_elem", BPF_PROG_TYPE_KPROBE, BPF_FUNC_map_lookup_percpu_elem},
    {"loop", BPF_PROG_TYPE_KPROBE, BPF_FUNC_loop},
    {"get_tai_ns", BPF_PROG_TYPE_KPROBE, 208},
};

struct MapKind {
  std::string_view name;
  bpf_map_type type;
};
constexpr MapKind kMapKinds[] = {
    {"hash", BPF_MAP_TYPE_HASH},
    {"array", BPF_MAP_TYPE_ARRAY},
    {"percpu array", BPF_MAP_TYPE_PERCPU_ARRAY},
    {"stack_trace", BPF_MAP_TYPE_STACK_TRACE},
    {"perf_event_array", BPF_MAP_TYPE_PERF_EVENT_ARRAY},
    {"ringbuf", BPF_MAP_TYPE_RINGBUF},
};

struct Hook {
  std::string_view name;
  FeatureId id;
};
constexpr Hook kHooks[] = {
    {"kprobe", FeatureId::kKprobe},
    {"tracepoint", FeatureId::kTracefs},
    {"perf_event", FeatureId::kCpuClock},
    {"fentry", FeatureId::kFentry},
    {"kprobe_multi", FeatureId::kKprobeMulti},
    {"raw_tp_special", FeatureId::kRawTracepoint},
    {"iter", FeatureId::kIterators},
};

const char *yes_or_no(bool is_so) {
  return is_so ? "yes" : "no";
}

}  // namespace

std::string script_info() {
  const Kernel &kernel = Kernel::running();
  std::string text;
  auto out = std::back_inserter(text);
  utsname host = {};
  uname(&host);
  fmt::format_to(out, "System\n  OS: {} {} {}\n  Arch: {}\n\n", host.sysname, host.release, host.version, host.machine);
  fmt::format_to(out,
                 "Build\n  version: v{} (waggle {})\n  LLVM: no\n  libdw (DWARF support): yes\n  blazesym: no\n"
                 "  libpcap (skboutput support): no\n  systemd (notify support): no\n\n",
                 kVersionOfLanguage, kVersion);
  text += "Kernel helpers\n";
  for (const Helper &each : kHelpers)
    fmt::format_to(out, "  {}: {}\n", each.name,
                   yes_or_no(libbpf_probe_bpf_helper(each.type, static_cast<bpf_func_id>(each.id), nullptr) == 1));
  bool has_btf = kernel.can(FeatureId::kBtf);
  bool tracing = kernel.can(FeatureId::kTpBtf);
  fmt::format_to(out, "  dpath: {}\n  skboutput: no\n", yes_or_no(tracing));
  bool has_uprobe_multi = false;
  if (has_btf)
    if (Result<KernelBtf> btf = KernelBtf::load(); btf)
      has_uprobe_multi = btf->find(BTF_KIND_STRUCT, "bpf_uprobe_multi_link") != 0;
  fmt::format_to(out,
                 "\nKernel features\n  Instruction limit: 1000000\n  Loop support: {0}\n  btf: {1}\n  module btf: {2}\n"
                 "  map batch: yes\n  uprobe refcount: {3}\n\nMap types\n",
                 yes_or_no(kernel.can(FeatureId::kLoad)), yes_or_no(has_btf), yes_or_no(!modules_with_btf().empty()),
                 yes_or_no(kernel.can(FeatureId::kUsdtSemaphores)));
  for (const MapKind &each : kMapKinds)
    fmt::format_to(out, "  {}: {}\n", each.name, yes_or_no(libbpf_probe_bpf_map_type(each.type, nullptr) == 1));
  text += "\nProbe types\n";
  for (const Hook &each : kHooks) fmt::format_to(out, "  {}: {}\n", each.name, yes_or_no(kernel.can(each.id)));
  fmt::format_to(out, "  kprobe_session: no\n  uprobe_multi: {}\n", yes_or_no(has_uprobe_multi));
  if (Result<std::vector<std::string>> names = script::iterator_names(); names && kernel.can(FeatureId::kIterators))
    for (const std::string &name : *names) fmt::format_to(out, "  iter:{}: yes\n", name);
  return text;
}

}  // namespace waggle
