// hook_available(): from a section's form to what it needs of the kernel.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "kernel/features.h"
#include "kernel/perf_event.h"
#include "kernel/probes_kallsyms.h"

namespace waggle {
namespace {

struct Since {
  std::string_view tracepoint, release;
};
// Tracepoints that sensors would like and older supported kernels (5.10 and later)
// do not have. Which kernels have one was looked up in 5.10, 6.1, 6.12 and 7.2.
constexpr Since kSince[] = {
    {"block_io_done", "6.5"},    {"block_io_start", "6.5"},        {"contention_begin", "5.19"},
    {"contention_end", "5.19"},  {"inet_sk_error_report", "5.14"}, {"sock_recv_length", "6.3"},
    {"sock_send_length", "6.3"},
};

std::string added_in(std::string_view tracepoint) {
  for (const Since &row : kSince)
    if (row.tracepoint == tracepoint) return fmt::format(" (added in {})", row.release);
  return {};
}

tl::unexpected<Error> unavailable(std::string_view section, std::string why, std::string fix = {}) {
  return fail(ErrorCode::kUnsupported, fmt::format("cannot listen at {}", section), std::move(why), std::move(fix));
}

Result<void> need(std::string_view section, const Kernel &kernel, FeatureId id) {
  const Feature &feature = kernel.feature(id);
  if (feature.available) return {};
  if (feature.for_want_of_privilege)
    return fail(ErrorCode::kDenied, fmt::format("cannot listen at {}", section), feature.why_not, "run it with sudo");
  return unavailable(section, feature.why_not);
}

bool is_pattern(std::string_view name) {
  return name.find_first_of("*?") != std::string_view::npos;
}

// The function of "vfs_read+0x10".
std::string_view without_offset(std::string_view name) {
  return name.substr(0, name.find('+'));
}

Result<void> need_btf_function(std::string_view section, std::string_view function, const Kernel &kernel) {
  if (function.empty() || is_pattern(function) || kernel.has_btf_function(function)) return {};
  return unavailable(section, fmt::format("this kernel's BTF has no function {}()", function),
                     "waggle list probes PATTERN      shows the functions there are");
}

Result<void> check_fentry(std::string_view section, std::string_view function, const Kernel &kernel) {
  if (Result<void> fentry = need(section, kernel, FeatureId::kFentry); !fentry) return fentry;
  return need_btf_function(section, function, kernel);
}

Result<void> check_lsm(std::string_view section, std::string_view hook, const Kernel &kernel) {
  if (Result<void> lsm = need(section, kernel, FeatureId::kLsm); !lsm) return lsm;
  if (kernel.has_btf_function(fmt::format("bpf_lsm_{}", hook))) return {};
  return unavailable(section, fmt::format("this kernel has no LSM hook {}", hook));
}

// Kprobes and uprobes have a perf PMU each. Its presence has to do here: trying the
// feature itself waits 0.1 s for the kernel to let go of the probe.
Result<void> need_pmu(std::string_view section, const Kernel &kernel, const char *pmu, FeatureId full_attempt) {
  if (Result<void> load = need(section, kernel, FeatureId::kLoad); !load) return load;
  if (access(fmt::format("/sys/bus/event_source/devices/{}/type", pmu).c_str(), F_OK) == 0) return {};
  return need(section, kernel, full_attempt);
}

Result<void> check_kprobe(std::string_view section, std::string_view function, const Kernel &kernel) {
  if (Result<void> kprobe = need_pmu(section, kernel, "kprobe", FeatureId::kKprobe); !kprobe) return kprobe;
  function = without_offset(function);
  if (function.empty() || is_pattern(function)) return {};
  // Most functions are in BTF, which is twenty times faster to ask than kallsyms.
  if (kernel.can(FeatureId::kBtf) && kernel.has_btf_function(function)) return {};
  if (has_kernel_symbol(function)) return {};
  return unavailable(section, fmt::format("this kernel has no function {}()", function),
                     "waggle list probes PATTERN      shows the functions there are");
}

Result<void> check_ksyscall(std::string_view section, std::string_view, const Kernel &kernel) {
  return need_pmu(section, kernel, "kprobe", FeatureId::kKprobe);
}

Result<void> check_kprobe_multi(std::string_view section, std::string_view, const Kernel &kernel) {
  return need(section, kernel, FeatureId::kKprobeMulti);
}

Result<void> check_raw_name(std::string_view section, std::string_view name, const Kernel &kernel) {
  // BTF is the only list of raw tracepoints; without it attaching will tell.
  if (name.empty() || !kernel.can(FeatureId::kBtf) || kernel.has_raw_tracepoint(name)) return {};
  return unavailable(section, fmt::format("this kernel has no tracepoint {}{}", name, added_in(name)));
}

Result<void> check_tp_btf(std::string_view section, std::string_view name, const Kernel &kernel) {
  if (Result<void> tp_btf = need(section, kernel, FeatureId::kTpBtf); !tp_btf) return tp_btf;
  return check_raw_name(section, name, kernel);
}

Result<void> check_raw_tracepoint(std::string_view section, std::string_view name, const Kernel &kernel) {
  // Trying FeatureId::kRawTracepoint waits 15 ms for the kernel.
  if (Result<void> load = need(section, kernel, FeatureId::kLoad); !load) return load;
  return check_raw_name(section, name, kernel);
}

// FeatureId::kTracepoint is left alone: trying it waits 70 ms for the kernel.
Result<void> check_tracepoint(std::string_view section, std::string_view target, const Kernel &kernel) {
  if (Result<void> load = need(section, kernel, FeatureId::kLoad); !load) return load;
  if (Result<void> tracefs = need(section, kernel, FeatureId::kTracefs); !tracefs) return tracefs;
  size_t slash = target.find('/');
  // CATEGORY:NAME is a pattern: whoever attaches looks for what it matches.
  if (slash == std::string_view::npos) return {};
  std::string_view category = target.substr(0, slash), name = target.substr(slash + 1);
  if (kernel.tracefs()->has(category, name)) return {};
  if (category == "syscalls" && !kernel.tracefs()->has("syscalls", "sys_enter_read"))
    return unavailable(section,
                       "tracepoints of system calls are not compiled into this kernel (CONFIG_FTRACE_SYSCALLS)");
  return unavailable(section, fmt::format("this kernel has no tracepoint {}:{}{}", category, name, added_in(name)));
}

Result<void> check_iterator(std::string_view section, std::string_view type, const Kernel &kernel) {
  if (Result<void> iterators = need(section, kernel, FeatureId::kIterators); !iterators) return iterators;
  if (type.empty() || kernel.has_btf_function(fmt::format("bpf_iter_{}", type))) return {};
  return unavailable(section, fmt::format("this kernel has no iterator over {}", type));
}

Result<void> check_perf_event(std::string_view section, std::string_view target, const Kernel &kernel) {
  if (!target.empty() && !is_software_event(target))
    return unavailable(section, fmt::format("there is no software event '{}'", target));
  return need(section, kernel, FeatureId::kCpuClock);
}

Result<void> check_uprobe(std::string_view section, std::string_view, const Kernel &kernel) {
  return need_pmu(section, kernel, "uprobe", FeatureId::kUprobe);
}

struct Form {
  std::string_view name;  // of the section, up to the first '/'
  Result<void> (*check)(std::string_view section, std::string_view target, const Kernel &kernel);
};
constexpr Form kForms[] = {
    {"fentry", check_fentry},
    {"fentry.s", check_fentry},
    {"fexit", check_fentry},
    {"fexit.s", check_fentry},
    {"fmod_ret", check_fentry},
    {"fmod_ret.s", check_fentry},
    {"iter", check_iterator},
    {"iter.s", check_iterator},
    {"kprobe", check_kprobe},
    {"kprobe.multi", check_kprobe_multi},
    {"kretprobe", check_kprobe},
    {"kretprobe.multi", check_kprobe_multi},
    {"kretsyscall", check_ksyscall},
    {"ksyscall", check_ksyscall},
    {"lsm", check_lsm},
    {"lsm.s", check_lsm},
    {"perf_event", check_perf_event},
    {"raw_tp", check_raw_tracepoint},
    {"raw_tp.w", check_raw_tracepoint},
    {"raw_tracepoint", check_raw_tracepoint},
    {"raw_tracepoint.w", check_raw_tracepoint},
    {"tp", check_tracepoint},
    {"tp_btf", check_tp_btf},
    {"tracepoint", check_tracepoint},
    {"uprobe", check_uprobe},
    {"uprobe.s", check_uprobe},
    {"uretprobe", check_uprobe},
    {"uretprobe.s", check_uprobe},
    {"usdt", check_uprobe},
};

}  // namespace

Result<void> hook_available(std::string_view section, const Kernel &kernel) {
  size_t slash = section.find('/');
  std::string_view name = section.substr(0, slash);
  std::string_view target = slash == std::string_view::npos ? std::string_view() : section.substr(slash + 1);
  const Form *form =
      std::find_if(std::begin(kForms), std::end(kForms), [&](const Form &each) { return each.name == name; });
  return form == std::end(kForms) ? Result<void>() : form->check(section, target, kernel);
}

}  // namespace waggle
