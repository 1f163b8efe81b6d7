// Numbers the kernel gives and the names people know them by. Names are the
// kernel's own spelling (ENOENT, SIGTERM, O_CLOEXEC, ESTABLISHED), so that they
// can be searched for; an unknown number has the empty name, and text functions
// print its value instead. Names returned are literals that live for ever.
// What differs from kernel to kernel is read from its BTF: see names_btf.h.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace waggle {

// Where an operator may type a name, the second function of a pair finds its
// number. Case does not matter, and a prefix that all names share may be left
// out: "sigkill", "KILL" and "kill" are one signal.

std::string_view errno_name(int64_t error_number);  // 2 → "ENOENT"; 0 and negative numbers have none
std::optional<int64_t> errno_number(std::string_view name);

std::string_view signal_name(int64_t signal);  // 9 → "SIGKILL"; real-time ones "SIGRTMIN+3", from 32 on
std::optional<int64_t> signal_number(std::string_view name);

// siginfo's si_code where it does not depend on the signal: 0 → "SI_USER".
std::string_view signal_code_name(int64_t code);
std::optional<int64_t> signal_code_number(std::string_view name);

std::string_view syscall_name(int64_t number);  // x86-64: 257 → "openat"
std::optional<int64_t> syscall_number(std::string_view name);

std::string_view tcp_state_name(int64_t state);  // 1 → "ESTABLISHED"
std::optional<int64_t> tcp_state_number(std::string_view name);

std::string_view tcp_ca_state_name(int64_t state);  // of congestion control: 3 → "Recovery"
std::optional<int64_t> tcp_ca_state_number(std::string_view name);

std::string_view dns_type_name(int64_t type);  // 28 → "AAAA"
std::optional<int64_t> dns_type_number(std::string_view name);

// 3 → "NXDOMAIN"; -1 → "UNANSWERED", which no server says.
std::string_view dns_rcode_name(int64_t code);
std::optional<int64_t> dns_rcode_number(std::string_view name);

std::string_view address_family_name(int64_t family);  // 2 → "AF_INET"
std::optional<int64_t> address_family_number(std::string_view name);

std::string_view ip_protocol_name(int64_t protocol);  // 6 → "TCP"
std::optional<int64_t> ip_protocol_number(std::string_view name);

std::string_view ether_type_name(int64_t type);  // 0x86dd → "IPv6"; host byte order
std::optional<int64_t> ether_type_number(std::string_view name);

std::string_view capability_name(int64_t capability);  // 21 → "CAP_SYS_ADMIN"
std::optional<int64_t> capability_number(std::string_view name);

std::string_view ptrace_request_name(int64_t request);  // 0x4206 → "PTRACE_SEIZE"
std::optional<int64_t> ptrace_request_number(std::string_view name);

// bpf(2): commands and types without their prefixes, "PROG_LOAD", "KPROBE", "HASH".
std::string_view bpf_command_name(int64_t command);
std::optional<int64_t> bpf_command_number(std::string_view name);
std::string_view bpf_program_type_name(int64_t type);
std::optional<int64_t> bpf_program_type_number(std::string_view name);
std::string_view bpf_map_type_name(int64_t type);
std::optional<int64_t> bpf_map_type_number(std::string_view name);

// statfs(2)'s f_type: 0xef53 → "ext4" (ext2 and ext3 share it).
std::string_view filesystem_name(uint64_t magic);
std::optional<int64_t> filesystem_magic(std::string_view name);

// The letter of /proc/PID/stat: 'D' → "disk sleep".
std::string_view process_state_name(char state);
// task_struct.__state, as sched_switch's prev_state has it: 0 "running",
// 1 "sleeping", 2 "disk sleep", 0x402 "idle", …
std::string_view task_state_name(uint64_t state);

std::string_view softirq_name(int64_t vector);  // 3 → "NET_RX"
std::optional<int64_t> softirq_number(std::string_view name);

// The flags of tracepoint lock:contention_begin, as a type of lock and how it is
// taken: 1 → "spinlock", 4 → "rwsem write". Whether a mutex is spun or slept on makes no difference.
std::string_view lock_name(uint64_t flags);

// futex(2)'s operation without its flags: 9 → "FUTEX_WAIT_BITSET"
std::string_view futex_op_name(int64_t operation);
std::optional<int64_t> futex_op_number(std::string_view name);

// struct request's cmd_flags: the operation in the low 8 bits, "READ", "WRITE",
// "FLUSH", "DISCARD". Zone operations were renumbered in 5.19 and 6.0 and have
// none: names_btf.h reads `enum req_op`.
std::string_view block_op_name(uint64_t command_flags);
std::optional<int64_t> block_op_number(std::string_view name);
// The flags above the operation: "SYNC|META|FUA"; "" for none.
std::string block_flags_text(uint64_t command_flags);

// Bits without a name follow as one hexadecimal number: "O_RDONLY|O_CLOEXEC|0x40".
std::string open_flags_text(uint64_t flags);
std::string mmap_protection_text(uint64_t protection);  // "PROT_READ|PROT_EXEC", "PROT_NONE"
std::string mmap_flags_text(uint64_t flags);            // "MAP_PRIVATE|MAP_ANONYMOUS"
std::string clone_flags_text(uint64_t flags);           // clone(2), unshare(2), setns(2): "CLONE_NEWNS|CLONE_NEWPID"
std::string mount_flags_text(uint64_t flags);           // "MS_RDONLY|MS_NOSUID"; "" for none
std::string umount_flags_text(uint64_t flags);          // "MNT_DETACH"; "" for none
std::string taints_text(uint64_t taints);               // a module's, as /proc/modules has them: "OE"; "" for none
std::string capabilities_text(uint64_t set);            // "CAP_NET_RAW|CAP_SYS_PTRACE"; "" for none
std::string file_mode_text(uint32_t mode);              // octal: "0644", "0100755" with the file's type

}  // namespace waggle
