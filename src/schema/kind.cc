#include "schema/kind.h"

#include <iterator>

#include "base/check.h"

namespace waggle {
namespace {

constexpr KindInfo kKinds[] = {
    {Kind::kNumber, "number", "", "", Nature::kIdentity, ""},
    {Kind::kText, "text", "", "", Nature::kIdentity, ""},
    {Kind::kTime, "time", "wg_ktime", "", Nature::kOther, "when it happened"},
    {Kind::kDuration, "duration", "wg_nanoseconds", "ns", Nature::kExtent, "how long it took"},
    {Kind::kBytes, "bytes", "wg_bytes", "bytes", Nature::kAmount, "size"},
    {Kind::kCount, "count", "wg_count", "", Nature::kAmount, "how many"},
    {Kind::kPid, "pid", "wg_pid", "", Nature::kIdentity, "process"},
    {Kind::kTid, "tid", "wg_tid", "", Nature::kIdentity, "thread"},
    {Kind::kUid, "uid", "wg_uid", "", Nature::kIdentity, "user"},
    {Kind::kGid, "gid", "wg_gid", "", Nature::kIdentity, "group"},
    {Kind::kComm, "comm", "wg_comm", "", Nature::kIdentity, "name of the task"},
    {Kind::kCgroup, "cgroup", "wg_cgroup", "", Nature::kIdentity, "control group, container"},
    {Kind::kCpu, "cpu", "wg_cpu", "", Nature::kIdentity, "processor"},
    {Kind::kErrno, "errno", "wg_errno", "", Nature::kIdentity, "0, or why it failed"},
    {Kind::kSignal, "signal", "wg_signal", "", Nature::kIdentity, "signal"},
    {Kind::kFd, "fd", "wg_fd", "", Nature::kIdentity, "file descriptor"},
    {Kind::kSyscall, "syscall", "wg_syscall", "", Nature::kIdentity, "system call"},
    {Kind::kOpenFlags, "open_flags", "wg_open_flags", "", Nature::kIdentity, "flags of open(2)"},
    {Kind::kMode, "mode", "wg_mode", "", Nature::kIdentity, "permission bits, octal"},
    {Kind::kDevice, "device", "wg_device", "", Nature::kIdentity, "disk"},
    {Kind::kInode, "inode", "wg_inode", "", Nature::kIdentity, "inode number"},
    {Kind::kFilesystem, "filesystem", "wg_filesystem", "", Nature::kIdentity, "type of file system"},
    {Kind::kFileOp, "file_op", "wg_file_op", "", Nature::kIdentity, "read, write, open or fsync"},
    {Kind::kBlockOp, "block_op", "wg_block_op", "", Nature::kIdentity, "block operation and its flags"},
    {Kind::kTcpState, "tcp_state", "wg_tcp_state", "", Nature::kIdentity, "state of the TCP connection"},
    {Kind::kDropReason, "drop_reason", "wg_drop_reason", "", Nature::kIdentity, "why the packet was dropped"},
    {Kind::kEtherType, "ethertype", "wg_ethertype", "", Nature::kIdentity, "protocol above Ethernet"},
    {Kind::kIpProtocol, "ip_protocol", "wg_ip_protocol", "", Nature::kIdentity, "protocol above IP"},
    {Kind::kPort, "port", "wg_port", "", Nature::kIdentity, "port"},
    {Kind::kIp, "ip", "wg_ip", "", Nature::kIdentity, "IP address"},
    {Kind::kKernelAddress, "kernel_address", "wg_kaddr", "", Nature::kIdentity, "place in the kernel"},
    {Kind::kPath, "path", "wg_path", "", Nature::kIdentity, "path"},
    {Kind::kArgv, "argv", "wg_argv", "", Nature::kIdentity, "arguments"},
    {Kind::kTaskState, "task_state", "wg_task_state", "", Nature::kIdentity, "what the task did: running, sleeping, …"},
    {Kind::kSoftirq, "softirq", "wg_softirq", "", Nature::kIdentity, "soft interrupt"},
    {Kind::kLockFlags, "lock_flags", "wg_lock_flags", "", Nature::kIdentity, "type of lock"},
    {Kind::kFutexOp, "futex_op", "wg_futex_op", "", Nature::kIdentity, "operation of futex(2)"},
    {Kind::kSignalCode, "signal_code", "wg_signal_code", "", Nature::kIdentity, "why the signal was sent"},
    {Kind::kSignalResult, "signal_result", "wg_signal_result", "", Nature::kIdentity, "what became of the signal"},
    {Kind::kCapability, "capability", "wg_capability", "", Nature::kIdentity, "privilege, capabilities(7)"},
    {Kind::kMountFlags, "mount_flags", "wg_mount_flags", "", Nature::kIdentity, "flags of mount(2)"},
    {Kind::kUmountFlags, "umount_flags", "wg_umount_flags", "", Nature::kIdentity, "flags of umount2(2)"},
    {Kind::kPtraceRequest, "ptrace_request", "wg_ptrace_request", "", Nature::kIdentity, "request of ptrace(2)"},
    {Kind::kBpfCommand, "bpf_command", "wg_bpf_command", "", Nature::kIdentity, "command of bpf(2)"},
    {Kind::kBpfProgram, "bpf_program", "wg_bpf_program", "", Nature::kIdentity, "type of BPF program"},
    {Kind::kBpfMap, "bpf_map", "wg_bpf_map", "", Nature::kIdentity, "type of BPF map"},
    {Kind::kTaints, "taints", "wg_taints", "", Nature::kIdentity, "what a module taints the kernel with"},
    {Kind::kArguments, "arguments", "wg_arguments", "", Nature::kOther, "arguments of a function"},
    {Kind::kTcpCaState, "tcp_ca_state", "wg_tcp_ca_state", "", Nature::kIdentity, "state of congestion control"},
    {Kind::kResetReason, "reset_reason", "wg_reset_reason", "", Nature::kIdentity, "why the connection was reset"},
    {Kind::kDnsType, "dns_type", "wg_dns_type", "", Nature::kIdentity, "type of DNS record"},
    {Kind::kDnsRcode, "dns_rcode", "wg_dns_rcode", "", Nature::kIdentity, "result of a DNS query"},
    {Kind::kStack, "stack", "wg_stack", "", Nature::kOther, "kernel and user stack"},
    {Kind::kHistogram, "histogram", "wg_latency_histogram", "ns", Nature::kOther, "distribution of durations"},
    {Kind::kAddress, "address", "wg_address", "", Nature::kIdentity, "address in the process"},
};

constexpr bool in_order() {
  for (size_t i = 0; i < std::size(kKinds); i++)
    if (kKinds[i].kind != static_cast<Kind>(i)) return false;
  return true;
}
static_assert(in_order(), "kind_info() indexes by Kind");

}  // namespace

const KindInfo &kind_info(Kind kind) {
  auto index = static_cast<size_t>(kind);
  CHECK(index < std::size(kKinds));
  return kKinds[index];
}

std::optional<Kind> kind_of_type(std::string_view type_name) {
  for (const KindInfo &info : kKinds)
    if (!info.type_name.empty() && info.type_name == type_name) return info.kind;
  return std::nullopt;
}

std::optional<Kind> kind_of_name(std::string_view name) {
  for (const KindInfo &info : kKinds)
    if (info.name == name) return info.kind;
  return std::nullopt;
}

}  // namespace waggle
