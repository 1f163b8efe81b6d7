#include "kernel/names.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "kernel/names_btf.h"

namespace waggle {
namespace {

struct Pair {
  int64_t number;
  std::string_view name;
};

TEST(Names, GoBothWays) {
  struct Table {
    std::string_view (*name)(int64_t);
    std::optional<int64_t> (*number)(std::string_view);
    std::vector<Pair> rows;
  };
  const Table kTables[] = {
      {errno_name,
       errno_number,
       {{1, "EPERM"}, {2, "ENOENT"}, {11, "EAGAIN"}, {133, "EHWPOISON"}, {512, "ERESTARTSYS"}}},
      {signal_name,
       signal_number,
       {{9, "SIGKILL"}, {15, "SIGTERM"}, {31, "SIGSYS"}, {37, "SIGRTMIN+5"}, {64, "SIGRTMAX"}}},
      {syscall_name, syscall_number, {{0, "read"}, {59, "execve"}, {257, "openat"}, {462, "mseal"}}},
      {tcp_state_name, tcp_state_number, {{1, "ESTABLISHED"}, {10, "LISTEN"}, {13, "BOUND_INACTIVE"}}},
      {tcp_ca_state_name, tcp_ca_state_number, {{0, "Open"}, {3, "Recovery"}, {4, "Loss"}}},
      {dns_type_name, dns_type_number, {{1, "A"}, {28, "AAAA"}, {65, "HTTPS"}, {257, "CAA"}}},
      {dns_rcode_name, dns_rcode_number, {{-1, "UNANSWERED"}, {0, "NOERROR"}, {3, "NXDOMAIN"}}},
      {address_family_name, address_family_number, {{1, "AF_UNIX"}, {2, "AF_INET"}, {10, "AF_INET6"}, {44, "AF_XDP"}}},
      {ip_protocol_name, ip_protocol_number, {{1, "ICMP"}, {6, "TCP"}, {17, "UDP"}, {58, "ICMPV6"}, {262, "MPTCP"}}},
      {ether_type_name, ether_type_number, {{0x0800, "IPv4"}, {0x86dd, "IPv6"}, {0x0806, "ARP"}, {0x8100, "VLAN"}}},
      {softirq_name, softirq_number, {{0, "HI"}, {3, "NET_RX"}, {9, "RCU"}}},
      {futex_op_name, futex_op_number, {{0, "FUTEX_WAIT"}, {9, "FUTEX_WAIT_BITSET"}, {13, "FUTEX_LOCK_PI2"}}},
      {capability_name, capability_number, {{0, "CAP_CHOWN"}, {21, "CAP_SYS_ADMIN"}, {39, "CAP_BPF"}}},
      {signal_code_name, signal_code_number, {{0, "SI_USER"}, {128, "SI_KERNEL"}, {-6, "SI_TKILL"}}},
      {ptrace_request_name, ptrace_request_number, {{0, "PTRACE_TRACEME"}, {16, "PTRACE_ATTACH"}}},
      {bpf_command_name, bpf_command_number, {{0, "MAP_CREATE"}, {5, "PROG_LOAD"}, {36, "TOKEN_CREATE"}}},
      {bpf_program_type_name, bpf_program_type_number, {{2, "KPROBE"}, {26, "TRACING"}, {32, "NETFILTER"}}},
      {bpf_map_type_name, bpf_map_type_number, {{1, "HASH"}, {27, "RINGBUF"}, {33, "ARENA"}}},
  };
  for (const Table &table : kTables) {
    for (const Pair &row : table.rows) {
      EXPECT_EQ(table.name(row.number), row.name);
      EXPECT_EQ(table.number(row.name), row.number) << row.name;
    }
    EXPECT_EQ(table.name(-77), "");
    EXPECT_EQ(table.name(INT64_MAX), "");
    EXPECT_EQ(table.number("NO_SUCH_NAME"), std::nullopt);
    EXPECT_EQ(table.number(""), std::nullopt);
  }
}

TEST(Names, AreUnderstoodAsPeopleTypeThem) {
  EXPECT_EQ(signal_number("kill"), 9);
  EXPECT_EQ(signal_number("SigTerm"), 15);
  EXPECT_EQ(signal_number("SIGPOLL"), 29);
  EXPECT_EQ(errno_number("enoent"), 2);
  EXPECT_EQ(errno_number("EWOULDBLOCK"), 11);
  EXPECT_EQ(address_family_number("inet6"), 10);
  EXPECT_EQ(ip_protocol_number("tcp"), 6);
  EXPECT_EQ(ip_protocol_number("IPPROTO_UDP"), 17);
  EXPECT_EQ(tcp_state_number("TCP_LISTEN"), 10);
  EXPECT_EQ(capability_number("sys_admin"), 21);
  EXPECT_EQ(block_op_number("req_op_write"), 1);
  EXPECT_EQ(ptrace_request_number("seize"), 0x4206);
  EXPECT_EQ(signal_code_number("user"), 0);
  EXPECT_EQ(bpf_command_number("bpf_prog_load"), 5);
  EXPECT_EQ(bpf_program_type_number("BPF_PROG_TYPE_XDP"), 6);
  EXPECT_EQ(bpf_map_type_number("hash"), 1);
}

TEST(Syscalls, AgreeWithTheHeadersOfTheBuildHost) {
  std::ifstream header("/usr/include/x86_64-linux-gnu/asm/unistd_64.h");
  if (!header) GTEST_SKIP() << "no asm/unistd_64.h here";
  std::string line;
  int seen = 0;
  while (std::getline(header, line)) {
    std::istringstream words(line);
    std::string define, name;
    int64_t number;
    if (!(words >> define >> name >> number) || define != "#define" || !name.starts_with("__NR_")) continue;
    EXPECT_EQ(syscall_name(number), name.substr(5));
    ++seen;
  }
  EXPECT_GT(seen, 300);
}

TEST(Flags, AreSpelledOut) {
  struct Case {
    std::string (*text)(uint64_t);
    uint64_t flags;
    std::string_view expected;
  };
  constexpr Case kCases[] = {
      {open_flags_text, 0, "O_RDONLY"},
      {open_flags_text, 02000000, "O_RDONLY|O_CLOEXEC"},
      {open_flags_text, 01 | 0100 | 01000, "O_WRONLY|O_CREAT|O_TRUNC"},
      {open_flags_text, 02 | 04010000, "O_RDWR|O_SYNC"},
      {open_flags_text, 010000, "O_RDONLY|O_DSYNC"},
      {open_flags_text, 02 | 020200000, "O_RDWR|O_TMPFILE"},
      {open_flags_text, 0200000, "O_RDONLY|O_DIRECTORY"},
      {open_flags_text, 0x80000000, "O_RDONLY|0x80000000"},
      {mmap_protection_text, 0, "PROT_NONE"},
      {mmap_protection_text, 5, "PROT_READ|PROT_EXEC"},
      {mmap_flags_text, 0x22, "MAP_PRIVATE|MAP_ANONYMOUS"},
      {mmap_flags_text, 0x1, "MAP_SHARED"},
      {mmap_flags_text, 0x3, "MAP_SHARED_VALIDATE"},
      {mmap_flags_text, 0, ""},
      {clone_flags_text, 0x20020000, "CLONE_NEWNS|CLONE_NEWPID"},
      {clone_flags_text, 0x01200011, "CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD"},
      {clone_flags_text, 0x80, "CLONE_NEWTIME"},
      {capabilities_text, 0, ""},
      {capabilities_text, (1u << 13) | (1u << 19), "CAP_NET_RAW|CAP_SYS_PTRACE"},
      {capabilities_text, uint64_t{1} << 63, "0x8000000000000000"},
      {block_flags_text, 1 | 1 << 11 | 1 << 12, "SYNC|META"},
      {block_flags_text, 1 | 1 << 17 | 1 << 18, "FUA|PREFLUSH"},
      {block_flags_text, 0, ""},
      {mount_flags_text, 0, ""},
      {mount_flags_text, 1 | 2 | 0x1000, "MS_RDONLY|MS_NOSUID|MS_BIND"},
      {mount_flags_text, 0xc0ed0020, "MS_REMOUNT"},
      {mount_flags_text, 0x40000 | 0x4000, "MS_REC|MS_PRIVATE"},
      {umount_flags_text, 2 | 8, "MNT_DETACH|UMOUNT_NOFOLLOW"},
      {taints_text, 1 << 12 | 1 << 13, "OE"},
      {taints_text, 0, ""},
  };
  for (const Case &c : kCases) EXPECT_EQ(c.text(c.flags), c.expected);
}

TEST(FileMode, IsOctal) {
  constexpr std::pair<uint32_t, std::string_view> kCases[] = {
      {0644, "0644"}, {0, "0000"}, {07, "0007"}, {04755, "04755"}, {0100755, "0100755"}};
  for (auto &[mode, text] : kCases) EXPECT_EQ(file_mode_text(mode), text);
}

TEST(Filesystems, AreNamedByMagic) {
  constexpr std::pair<uint64_t, std::string_view> kCases[] = {{0xef53, "ext4"},
                                                              {0x58465342, "xfs"},
                                                              {0x9123683e, "btrfs"},
                                                              {0x01021994, "tmpfs"},
                                                              {0x794c7630, "overlay"},
                                                              {0x6969, "nfs"},
                                                              {0x9fa0, "proc"},
                                                              {0x62656572, "sysfs"},
                                                              {0x63677270, "cgroup2"},
                                                              {0xf2f52010, "f2fs"},
                                                              {0x2fc12fc1, "zfs"},
                                                              {0x65735546, "fuse"},
                                                              {0x01021997, "9p"},
                                                              {0x4d44, "vfat"},
                                                              {0xffffffff9123683e, "btrfs"},
                                                              {1, ""}};
  for (auto &[magic, name] : kCases) EXPECT_EQ(filesystem_name(magic), name) << magic;
  EXPECT_EQ(filesystem_magic("XFS"), 0x58465342);
}

TEST(States, AreWords) {
  constexpr std::pair<uint64_t, std::string_view> kCases[] = {
      {0, "running"}, {1, "sleeping"},    {2, "disk sleep"},     {0x402, "idle"},  {0x102, "disk sleep"},
      {4, "stopped"}, {8, "traced"},      {0x10, "dead"},        {0x20, "zombie"}, {0x40, "parked"},
      {0x80, "dead"}, {0x200, "running"}, {0x8000, "disk sleep"}};
  for (auto &[state, name] : kCases) EXPECT_EQ(task_state_name(state), name) << state;
  constexpr std::pair<uint64_t, std::string_view> kLocks[] = {{0, "semaphore"},
                                                              {1, "spinlock"},
                                                              {1 | 2, "rwlock read"},
                                                              {1 | 4, "rwlock write"},
                                                              {2, "rwsem read"},
                                                              {4, "rwsem write"},
                                                              {8, "rtmutex"},
                                                              {8 | 2, "rwlock read"},
                                                              {8 | 4, "rwlock write"},
                                                              {16 | 2, "percpu-rwsem read"},
                                                              {32, "mutex"},
                                                              {32 | 1, "mutex"},
                                                              {64, ""},
                                                              {16 | 4, "percpu-rwsem write"}};
  for (auto &[flags, name] : kLocks) EXPECT_EQ(lock_name(flags), name) << flags;
  EXPECT_EQ(process_state_name('D'), "disk sleep");
  EXPECT_EQ(process_state_name('?'), "");
  EXPECT_EQ(block_op_name(1 | 1 << 11), "WRITE");
}

TEST(KernelEnum, IsReadFromThisKernel) {
  Result<KernelEnum> states = read_kernel_enum("req_op", "REQ_OP_");
  if (!states) states = read_kernel_enum("req_opf", "REQ_OP_");
  if (!states) GTEST_SKIP() << states.error().text();
  EXPECT_EQ(states->name(1), "WRITE");
  EXPECT_EQ(states->number("flush"), 2);
  EXPECT_EQ(states->name(-1), "");
  EXPECT_EQ(read_kernel_enum("no_such_enum").error().code, ErrorCode::kNotFound);
  for (auto [op, name] : {std::pair<int64_t, std::string_view>{0, "READ"}, {9, "WRITE_ZEROES"}, {35, "DRV_OUT"}})
    EXPECT_EQ(states->name(op), name);
}

TEST(BpfNames, AgreeWithThisKernel) {
  struct Table {
    const char *type, *prefix;
    std::string_view (*name)(int64_t);
  };
  for (auto [type, prefix, name] : {Table{"bpf_cmd", "BPF_", bpf_command_name},
                                    {"bpf_prog_type", "BPF_PROG_TYPE_", bpf_program_type_name},
                                    {"bpf_map_type", "BPF_MAP_TYPE_", bpf_map_type_name}}) {
    Result<KernelEnum> members = read_kernel_enum(type, prefix);
    if (!members) GTEST_SKIP() << members.error().text();
    for (const KernelEnum::Member &member : members->members()) {
      // Numbers may have a second name, an old one; newer ones are not in our table.
      if (name(member.number).empty()) continue;
      EXPECT_EQ(members->number(name(member.number)), member.number) << member.name;
    }
  }
}

TEST(ResetReasons, AreReadFromThisKernel) {
  if (!read_kernel_enum("sk_rst_reason")) GTEST_SKIP() << "this kernel gives no reasons of resets";
  EXPECT_EQ(reset_reason_name(0), "NOT_SPECIFIED");
  EXPECT_EQ(reset_reason_name(0x00020001), "");
}

TEST(DropReasons, AreReadFromThisKernel) {
  if (!read_kernel_enum("skb_drop_reason")) GTEST_SKIP() << "this kernel gives no drop reasons";
  Result<KernelEnum> reasons = read_kernel_enum("skb_drop_reason");
  std::optional<int64_t> no_socket = drop_reason_number("no_socket");
  ASSERT_TRUE(no_socket);
  EXPECT_EQ(drop_reason_name(static_cast<uint32_t>(*no_socket)), "NO_SOCKET");
  EXPECT_EQ(drop_reason_number("SKB_DROP_REASON_NO_SOCKET"), no_socket);
  EXPECT_EQ(reasons->name(*no_socket), "SKB_DROP_REASON_NO_SOCKET");
  EXPECT_EQ(drop_reason_name(0x00020001), "");
}

}  // namespace
}  // namespace waggle
