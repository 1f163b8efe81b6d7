// What of a case's needs this machine lacks, found without asking the program under test:
// else one that cannot do a thing would excuse itself from its test.

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <iterator>
#include <map>
#include <utility>

#include "base/fd.h"
#include "base/text.h"
#include "case.h"

namespace waggle::conformance {
namespace {

utsname names() {
  utsname made = {};
  uname(&made);
  return made;
}

std::pair<int, int> version_of(const char *text) {
  char *end = nullptr;
  int major = static_cast<int>(strtol(text, &end, 10));
  int minor = *end == '.' ? static_cast<int>(strtol(end + 1, nullptr, 10)) : 0;
  return {major, minor};
}

bool kernel_is(const char *least) {
  return version_of(names().release) >= version_of(least);
}
bool exists(const char *path) {
  return access(path, F_OK) == 0;
}
bool has_device(const char *name) {
  return exists(fmt::format("/sys/bus/event_source/devices/{}", name).c_str());
}
bool has_ftrace() {
  return exists("/sys/kernel/tracing/available_filter_functions") ||
         exists("/sys/kernel/debug/tracing/available_filter_functions");
}

// A kernel may have all that fentry stands on and refuse it all the same: only trying tells.
bool loads_fentry() {
  static const bool kLoads = [] {
    libbpf_set_print(nullptr);
    int function = libbpf_find_vmlinux_btf_id("vfs_read", BPF_TRACE_FENTRY);
    if (function <= 0) return false;
    const bpf_insn program[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_FENTRY,
                .attach_btf_id = static_cast<__u32>(function));
    Fd loaded(bpf_prog_load(BPF_PROG_TYPE_TRACING, "try", "GPL", program, std::size(program), &options));
    return loaded.valid();
  }();
  return kLoads;
}

// "" if it is there, else what is missing.
std::string lack_of_feature(const std::string &name) {
  const std::map<std::string_view, bool> known = {
      {"btf", exists("/sys/kernel/btf/vmlinux")},
      {"kprobe", has_device("kprobe")},
      {"kprobe_multi", has_device("kprobe") && has_ftrace() && kernel_is("5.18")},
      {"kprobe_session", has_device("kprobe") && has_ftrace() && kernel_is("6.10")},
      {"fentry", loads_fentry()},
      {"kfunc", loads_fentry()},
      {"uprobe", has_device("uprobe")},
      {"uprobe_multi", has_device("uprobe") && kernel_is("6.6")},
      {"uprobe_refcount", has_device("uprobe")},
      {"hardware", has_device("cpu") || has_device("cpu_core")},
      {"watchpoint", has_device("breakpoint")},
      {"iter", exists("/sys/kernel/btf/vmlinux")},
      {"dpath", loads_fentry() && kernel_is("5.10")},
      {"skboutput", false},
      {"jiffies64", kernel_is("5.9")},
      {"get_tai_ns", kernel_is("6.1")},
      {"get_func_ip", kernel_is("5.15")},
      {"signal", kernel_is("5.3")},
      {"probe_read_kernel", true},
      {"get_boot_ns", true},
      {"ringbuf", kernel_is("5.8")},
      {"map_batch", true},
      {"loop", true},
      {"dwarf", true},
      {"bpf_loop", kernel_is("5.17")},
  };
  bool is_negated = name.starts_with('!');
  auto found = known.find(std::string_view(name).substr(is_negated ? 1 : 0));
  if (found == known.end()) return fmt::format("the runner does not know how to look for feature '{}'", name);
  if (found->second != is_negated) return {};
  return fmt::format("kernel {} {} {}", names().release, is_negated ? "has" : "has no", found->first);
}

}  // namespace

std::string lack_of(const Case &made) {
  if (!made.architectures.empty()) {
    bool is_one = false;
    for (std::string_view each : split(made.architectures, '|')) is_one |= trim(each) == names().machine;
    if (!is_one) return fmt::format("of {} only", made.architectures);
  }
  if (!made.least_kernel.empty() && !kernel_is(made.least_kernel.c_str()))
    return fmt::format("kernel {} is older than {}", names().release, made.least_kernel);
  if (!made.most_kernel.empty() && version_of(names().release) > version_of(made.most_kernel.c_str()))
    return fmt::format("kernel {} is newer than {}", names().release, made.most_kernel);
  for (const std::string &each : made.excluded_environment) {
    size_t equals = each.find('=');
    const char *value = getenv(each.substr(0, equals).c_str());
    if (value != nullptr && (equals == std::string::npos || each.substr(equals + 1) == value))
      return fmt::format("the environment has {}", each);
  }
  for (const std::string &each : made.features)
    if (std::string lack = lack_of_feature(each); !lack.empty()) return lack;
  return {};
}

}  // namespace waggle::conformance
