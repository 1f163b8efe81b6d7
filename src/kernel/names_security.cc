// Names of what changes a host's security: bpf(2), ptrace(2), mount(2), modules.
// The numbers are the kernel's ABI; those newer than the build host's headers stand
// here as they are. names_test.cc holds bpf(2)'s to the running kernel.
// source: include/uapi/linux/{bpf,ptrace,mount}.h, arch/x86/include/uapi/asm/ptrace-abi.h,
//   include/linux/{fs,panic}.h, up to Linux 6.18
#include <iterator>

#include "kernel/names.h"
#include "kernel/names_table.h"

namespace waggle {
namespace {

// Enums without gaps, from 0.
constexpr std::string_view kBpfCommands[] = {
    "MAP_CREATE",        "MAP_LOOKUP_ELEM",
    "MAP_UPDATE_ELEM",   "MAP_DELETE_ELEM",
    "MAP_GET_NEXT_KEY",  "PROG_LOAD",
    "OBJ_PIN",           "OBJ_GET",
    "PROG_ATTACH",       "PROG_DETACH",
    "PROG_TEST_RUN",     "PROG_GET_NEXT_ID",
    "MAP_GET_NEXT_ID",   "PROG_GET_FD_BY_ID",
    "MAP_GET_FD_BY_ID",  "OBJ_GET_INFO_BY_FD",
    "PROG_QUERY",        "RAW_TRACEPOINT_OPEN",
    "BTF_LOAD",          "BTF_GET_FD_BY_ID",
    "TASK_FD_QUERY",     "MAP_LOOKUP_AND_DELETE_ELEM",
    "MAP_FREEZE",        "BTF_GET_NEXT_ID",
    "MAP_LOOKUP_BATCH",  "MAP_LOOKUP_AND_DELETE_BATCH",
    "MAP_UPDATE_BATCH",  "MAP_DELETE_BATCH",
    "LINK_CREATE",       "LINK_UPDATE",
    "LINK_GET_FD_BY_ID", "LINK_GET_NEXT_ID",
    "ENABLE_STATS",      "ITER_CREATE",
    "LINK_DETACH",       "PROG_BIND_MAP",
    "TOKEN_CREATE",      "PROG_STREAM_READ_BY_FD",
};

constexpr std::string_view kBpfProgramTypes[] = {
    "UNSPEC",
    "SOCKET_FILTER",
    "KPROBE",
    "SCHED_CLS",
    "SCHED_ACT",
    "TRACEPOINT",
    "XDP",
    "PERF_EVENT",
    "CGROUP_SKB",
    "CGROUP_SOCK",
    "LWT_IN",
    "LWT_OUT",
    "LWT_XMIT",
    "SOCK_OPS",
    "SK_SKB",
    "CGROUP_DEVICE",
    "SK_MSG",
    "RAW_TRACEPOINT",
    "CGROUP_SOCK_ADDR",
    "LWT_SEG6LOCAL",
    "LIRC_MODE2",
    "SK_REUSEPORT",
    "FLOW_DISSECTOR",
    "CGROUP_SYSCTL",
    "RAW_TRACEPOINT_WRITABLE",
    "CGROUP_SOCKOPT",
    "TRACING",
    "STRUCT_OPS",
    "EXT",
    "LSM",
    "SK_LOOKUP",
    "SYSCALL",
    "NETFILTER",
};

constexpr std::string_view kBpfMapTypes[] = {
    "UNSPEC",
    "HASH",
    "ARRAY",
    "PROG_ARRAY",
    "PERF_EVENT_ARRAY",
    "PERCPU_HASH",
    "PERCPU_ARRAY",
    "STACK_TRACE",
    "CGROUP_ARRAY",
    "LRU_HASH",
    "LRU_PERCPU_HASH",
    "LPM_TRIE",
    "ARRAY_OF_MAPS",
    "HASH_OF_MAPS",
    "DEVMAP",
    "SOCKMAP",
    "CPUMAP",
    "XSKMAP",
    "SOCKHASH",
    "CGROUP_STORAGE",
    "REUSEPORT_SOCKARRAY",
    "PERCPU_CGROUP_STORAGE",
    "QUEUE",
    "STACK",
    "SK_STORAGE",
    "DEVMAP_HASH",
    "STRUCT_OPS",
    "RINGBUF",
    "INODE_STORAGE",
    "TASK_STORAGE",
    "BLOOM_FILTER",
    "USER_RINGBUF",
    "CGRP_STORAGE",
    "ARENA",
};

constexpr NamedNumber kPtraceRequests[] = {
    {0, "PTRACE_TRACEME"},
    {1, "PTRACE_PEEKTEXT"},
    {2, "PTRACE_PEEKDATA"},
    {3, "PTRACE_PEEKUSR"},
    {4, "PTRACE_POKETEXT"},
    {5, "PTRACE_POKEDATA"},
    {6, "PTRACE_POKEUSR"},
    {7, "PTRACE_CONT"},
    {8, "PTRACE_KILL"},
    {9, "PTRACE_SINGLESTEP"},
    {12, "PTRACE_GETREGS"},
    {13, "PTRACE_SETREGS"},
    {14, "PTRACE_GETFPREGS"},
    {15, "PTRACE_SETFPREGS"},
    {16, "PTRACE_ATTACH"},
    {17, "PTRACE_DETACH"},
    {18, "PTRACE_GETFPXREGS"},
    {19, "PTRACE_SETFPXREGS"},
    {21, "PTRACE_OLDSETOPTIONS"},
    {24, "PTRACE_SYSCALL"},
    {25, "PTRACE_GET_THREAD_AREA"},
    {26, "PTRACE_SET_THREAD_AREA"},
    {30, "PTRACE_ARCH_PRCTL"},
    {31, "PTRACE_SYSEMU"},
    {32, "PTRACE_SYSEMU_SINGLESTEP"},
    {33, "PTRACE_SINGLEBLOCK"},
    {0x4200, "PTRACE_SETOPTIONS"},
    {0x4201, "PTRACE_GETEVENTMSG"},
    {0x4202, "PTRACE_GETSIGINFO"},
    {0x4203, "PTRACE_SETSIGINFO"},
    {0x4204, "PTRACE_GETREGSET"},
    {0x4205, "PTRACE_SETREGSET"},
    {0x4206, "PTRACE_SEIZE"},
    {0x4207, "PTRACE_INTERRUPT"},
    {0x4208, "PTRACE_LISTEN"},
    {0x4209, "PTRACE_PEEKSIGINFO"},
    {0x420a, "PTRACE_GETSIGMASK"},
    {0x420b, "PTRACE_SETSIGMASK"},
    {0x420c, "PTRACE_SECCOMP_GET_FILTER"},
    {0x420d, "PTRACE_SECCOMP_GET_METADATA"},
    {0x420e, "PTRACE_GET_SYSCALL_INFO"},
    {0x420f, "PTRACE_GET_RSEQ_CONFIGURATION"},
    {0x4210, "PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG"},
    {0x4211, "PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG"},
    {0x4212, "PTRACE_SET_SYSCALL_INFO"},
};

constexpr NamedNumber kSignalCodes[] = {
    {0, "SI_USER"},     {0x80, "SI_KERNEL"}, {-1, "SI_QUEUE"}, {-2, "SI_TIMER"},    {-3, "SI_MESGQ"},
    {-4, "SI_ASYNCIO"}, {-5, "SI_SIGIO"},    {-6, "SI_TKILL"}, {-7, "SI_DETHREAD"}, {-60, "SI_ASYNCNL"},
};

constexpr NamedNumber kMountFlags[] = {
    {0x1, "MS_RDONLY"},
    {0x2, "MS_NOSUID"},
    {0x4, "MS_NODEV"},
    {0x8, "MS_NOEXEC"},
    {0x10, "MS_SYNCHRONOUS"},
    {0x20, "MS_REMOUNT"},
    {0x40, "MS_MANDLOCK"},
    {0x80, "MS_DIRSYNC"},
    {0x100, "MS_NOSYMFOLLOW"},
    {0x400, "MS_NOATIME"},
    {0x800, "MS_NODIRATIME"},
    {0x1000, "MS_BIND"},
    {0x2000, "MS_MOVE"},
    {0x4000, "MS_REC"},
    {0x8000, "MS_SILENT"},
    {0x10000, "MS_POSIXACL"},
    {0x20000, "MS_UNBINDABLE"},
    {0x40000, "MS_PRIVATE"},
    {0x80000, "MS_SLAVE"},
    {0x100000, "MS_SHARED"},
    {0x200000, "MS_RELATIME"},
    {0x800000, "MS_I_VERSION"},
    {0x1000000, "MS_STRICTATIME"},
    {0x2000000, "MS_LAZYTIME"},
};
// What was in the upper half before Linux 2.4; some programs still pass it.
constexpr uint64_t kMountMagicMask = 0xffff0000, kMountMagic = 0xc0ed0000;

constexpr NamedNumber kUmountFlags[] = {
    {1, "MNT_FORCE"},
    {2, "MNT_DETACH"},
    {4, "MNT_EXPIRE"},
    {8, "UMOUNT_NOFOLLOW"},
};

// Those that a module can bring: bit and letter.
constexpr NamedNumber kTaints[] = {
    {0, "P"}, {1, "F"}, {10, "C"}, {12, "O"}, {13, "E"}, {15, "K"}, {16, "X"}, {18, "N"},
};

template <size_t kCount>
std::string_view name_in(const std::string_view (&names)[kCount], int64_t number) {
  return number >= 0 && number < static_cast<int64_t>(kCount) ? names[number] : std::string_view();
}

template <size_t kCount>
std::optional<int64_t> number_in(const std::string_view (&names)[kCount], std::string_view name) {
  for (size_t i = 0; i < kCount; i++)
    if (equal_letters(names[i], name)) return static_cast<int64_t>(i);
  return std::nullopt;
}

}  // namespace

std::string_view bpf_command_name(int64_t command) {
  return name_in(kBpfCommands, command);
}
std::optional<int64_t> bpf_command_number(std::string_view name) {
  return number_in(kBpfCommands, without_prefix(name, "BPF_"));
}

std::string_view bpf_program_type_name(int64_t type) {
  return name_in(kBpfProgramTypes, type);
}
std::optional<int64_t> bpf_program_type_number(std::string_view name) {
  return number_in(kBpfProgramTypes, without_prefix(name, "BPF_PROG_TYPE_"));
}

std::string_view bpf_map_type_name(int64_t type) {
  return name_in(kBpfMapTypes, type);
}
std::optional<int64_t> bpf_map_type_number(std::string_view name) {
  return number_in(kBpfMapTypes, without_prefix(name, "BPF_MAP_TYPE_"));
}

std::string_view ptrace_request_name(int64_t request) {
  return find_name(kPtraceRequests, request);
}
std::optional<int64_t> ptrace_request_number(std::string_view name) {
  return find_number(kPtraceRequests, name, "PTRACE_");
}

std::string_view signal_code_name(int64_t code) {
  return find_name(kSignalCodes, code);
}
std::optional<int64_t> signal_code_number(std::string_view name) {
  return find_number(kSignalCodes, name, "SI_");
}

std::string mount_flags_text(uint64_t flags) {
  if ((flags & kMountMagicMask) == kMountMagic) flags &= ~kMountMagicMask;
  std::string text;
  append_flags(text, flags, kMountFlags);
  return text;
}

std::string umount_flags_text(uint64_t flags) {
  std::string text;
  append_flags(text, flags, kUmountFlags);
  return text;
}

std::string taints_text(uint64_t taints) {
  std::string text;
  for (const NamedNumber &row : kTaints)
    if (taints >> row.number & 1) text += row.name;
  return text;
}

}  // namespace waggle
