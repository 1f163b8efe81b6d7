// capability, mount, bind, ptrace, bpf, module: what changes a host, by whom, and what
// the kernel refused.

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "activity.h"
#include "suite.h"
#include "watch.h"

namespace waggle::suite {
namespace {

std::vector<std::string> for_this_process(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"-p", std::to_string(getpid())});
  return arguments;
}

// --- capability --------------------------------------------------------------------

// What a row says of the way a check is made, where functions can be traced.
std::string check_as(const char *check) {
  return lack_of(Need::kFunctions).empty() ? check : "";
}

void capability_checks() {
  constexpr uint64_t kGranted = 7, kRefused = 5;
  Watch watch({"capability"});
  pid_t child = start_child([] {
    set_name("wg-capable");
    for (uint64_t i = 0; i < kGranted; i++)
      if (chroot(".") != 0) return 1;
    if (setresuid(65534, 65534, 65534) != 0) return 2;
    for (uint64_t i = 0; i < kRefused; i++)
      if (chroot(".") == 0 || errno != EPERM) return 3;
    return 0;
  });
  expect_equal(wait_for(child), 0, "status of the one that needs capabilities");
  Seen seen = watch.stop();
  std::vector<Json> of_child = rows_where(seen.rows, "pid", child);
  std::vector<Json> chroots = rows_where(of_child, "capability", "CAP_SYS_CHROOT");
  expect_equal(chroots.size(), kGranted + kRefused, "checks of CAP_SYS_CHROOT");
  for (uint64_t i = 0; i < chroots.size(); i++) {
    const Json &row = chroots[i];
    bool granted = i < kGranted;
    expect_equal(number(row, "errno"), granted ? 0u : static_cast<uint64_t>(EPERM),
                 fmt::format("errno of check {}", i));
    expect_equal(number(row, "uid"), granted ? 0u : 65534u, fmt::format("uid of check {}", i));
    expect_equal(text(row, "comm"), "wg-capable", "comm");
    expect_equal(text(row, "check"), check_as("audit"), "check");
  }
  std::vector<Json> setuids = rows_where(of_child, "capability", "CAP_SETUID");
  expect(!setuids.empty(), "no check of CAP_SETUID by setresuid(2)");
  expect_equal(text(setuids[0], "check"), check_as("insetid"), "check of CAP_SETUID");
}

void capability_filters() {
  constexpr uint64_t kRefused = 5;
  Watch watch({"capability", "--failed", "--set", "capability=sys_chroot", "--set", "audited=1"});
  pid_t child = start_child([] {
    if (chroot(".") != 0 || setresuid(65534, 65534, 65534) != 0) return 1;
    for (uint64_t i = 0; i < kRefused; i++)
      if (chroot(".") == 0) return 2;
    return sethostname("no", 2) == 0 ? 3 : 0;
  });
  expect_equal(wait_for(child), 0, "status of the one that needs capabilities");
  Seen seen = watch.stop();
  for (const Json &row : seen.rows) {
    expect_equal(text(row, "capability"), "CAP_SYS_CHROOT", "the only capability");
    expect_equal(number(row, "errno"), static_cast<uint64_t>(EPERM), "errno");
  }
  expect_equal(rows_where(seen.rows, "pid", child).size(), kRefused, "checks that were refused");
}

// --- mount -----------------------------------------------------------------------

struct MountRow {
  const char *call;
  int error;
  std::string fstype, source, target, flags, umount_flags, data;
};

void expect_mounts(const Seen &seen, const std::vector<MountRow> &table) {
  struct stat space;
  must(stat("/proc/self/ns/mnt", &space), "stat");
  expect_equal(seen.rows.size(), table.size(), "rows");
  for (size_t i = 0; i < table.size(); i++) {
    const Json &row = seen.rows[i];
    std::string what = fmt::format("row {}", i);
    expect_equal(text(row, "call"), table[i].call, "call of " + what);
    expect_equal(number(row, "errno"), static_cast<uint64_t>(table[i].error), "errno of " + what);
    expect_equal(text(row, "fstype"), table[i].fstype, "fstype of " + what);
    expect_equal(text(row, "source"), table[i].source, "source of " + what);
    expect_equal(text(row, "target"), table[i].target, "target of " + what);
    expect_equal(text(row, "flags"), table[i].flags, "flags of " + what);
    expect_equal(text(row, "umount_flags"), table[i].umount_flags, "umount_flags of " + what);
    expect_equal(text(row, "data"), table[i].data, "data of " + what);
    expect_equal(number(row, "mount_namespace"), static_cast<uint64_t>(space.st_ino), "mount_namespace of " + what);
    expect_equal(number(row, "tid"), static_cast<uint64_t>(gettid()), "tid of " + what);
    expect(number(row, "latency") > 0, "a call took no time");
  }
}

void mount_and_unmount() {
  must(mkdir("target", 0755), "mkdir");
  must(mkdir("other", 0755), "mkdir");
  Watch watch(for_this_process({"mount"}));
  must(mount("wg-source", "target", "tmpfs", MS_NOSUID | MS_NODEV, "size=64k"), "mount");
  must(mount("target", "other", nullptr, MS_BIND | MS_REC, nullptr), "mount --bind");
  must(mount(nullptr, "target", nullptr, MS_REMOUNT | MS_RDONLY, "size=32k"), "mount -o remount");
  expect(mount("none", "target", "wg-nofs", 0, nullptr) < 0 && errno == ENODEV, "mount of an unknown file system");
  expect(mount("wg-source", "missing", "tmpfs", 0, nullptr) < 0 && errno == ENOENT, "mount on nothing");
  must(umount2("other", MNT_DETACH), "umount2");
  must(umount2("target", 0), "umount2");
  expect(umount2("target", UMOUNT_NOFOLLOW) < 0 && errno == EINVAL, "umount2 of what is not mounted");
  expect_mounts(watch.stop(), {
                                  {"mount", 0, "tmpfs", "wg-source", "target", "MS_NOSUID|MS_NODEV", "", "size=64k"},
                                  {"mount", 0, "", "target", "other", "MS_BIND|MS_REC", "", ""},
                                  {"mount", 0, "", "", "target", "MS_RDONLY|MS_REMOUNT", "", "size=32k"},
                                  {"mount", ENODEV, "wg-nofs", "none", "target", "", "", ""},
                                  {"mount", ENOENT, "tmpfs", "wg-source", "missing", "", "", ""},
                                  {"umount2", 0, "", "", "other", "", "MNT_DETACH", ""},
                                  {"umount2", 0, "", "", "target", "", "", ""},
                                  {"umount2", EINVAL, "", "", "target", "", "UMOUNT_NOFOLLOW", ""},
                              });
}

// The calls by which mount(8) of today does the same.
void mount_in_steps() {
  enum { kFsOpen = 430, kFsConfig = 431, kFsMount = 432, kMoveMount = 429, kOpenTree = 428 };
  enum { kSetString = 1, kCreate = 6, kEmptyPath = 4, kCloneTree = 1, kReadOnly = 1, kNoAtime = 0x10 };
  must(mkdir("target", 0755), "mkdir");
  must(mkdir("other", 0755), "mkdir");
  Watch watch(for_this_process({"mount"}));
  int context = static_cast<int>(must(syscall(kFsOpen, "tmpfs", 0), "fsopen"));
  must(syscall(kFsConfig, context, kSetString, "size", "64k", 0), "fsconfig");
  expect(syscall(kFsConfig, context, kSetString, "wg-nonsense", "1", 0) < 0 && errno == EINVAL, "fsconfig of nonsense");
  must(syscall(kFsConfig, context, kCreate, nullptr, nullptr, 0), "fsconfig");
  int mounted = static_cast<int>(must(syscall(kFsMount, context, 0, kReadOnly | kNoAtime), "fsmount"));
  must(syscall(kMoveMount, mounted, "", AT_FDCWD, "target", kEmptyPath), "move_mount");
  must(syscall(kOpenTree, AT_FDCWD, "target", kCloneTree), "open_tree");
  expect(syscall(kFsOpen, "wg-nofs", 0) < 0 && errno == ENODEV, "fsopen of an unknown file system");
  must(umount2("target", MNT_DETACH), "umount2");
  expect_mounts(watch.stop(), {
                                  {"fsopen", 0, "tmpfs", "", "", "", "", ""},
                                  {"fsconfig", 0, "", "", "", "", "", "size=64k"},
                                  {"fsconfig", EINVAL, "", "", "", "", "", "wg-nonsense=1"},
                                  {"fsconfig", 0, "", "", "", "", "", ""},
                                  {"fsmount", 0, "", "", "", "MS_RDONLY|MS_NOATIME", "", ""},
                                  {"move_mount", 0, "", "", "target", "", "", ""},
                                  {"open_tree", 0, "", "target", "", "", "", ""},
                                  {"fsopen", ENODEV, "wg-nofs", "", "", "", "", ""},
                                  {"umount2", 0, "", "", "target", "", "MNT_DETACH", ""},
                              });
}

// --- bind ------------------------------------------------------------------------

sockaddr_in v4(const char *address, uint16_t port) {
  sockaddr_in at = {};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  inet_pton(AF_INET, address, &at.sin_addr);
  return at;
}
sockaddr_in6 v6(const char *address, uint16_t port) {
  sockaddr_in6 at = {};
  at.sin6_family = AF_INET6;
  at.sin6_port = htons(port);
  inet_pton(AF_INET6, address, &at.sin6_addr);
  return at;
}
template <typename Address>
int bind_to(int fd, const Address &address) {
  return bind(fd, reinterpret_cast<const sockaddr *>(&address), sizeof(address));
}

void bind_and_listen() {
  enter_new_network();
  int tcp = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  int taken = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  int udp6 = must(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
  int local = must(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  int one = 1;
  must(setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), "SO_REUSEADDR");
  must(setsockopt(udp6, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)), "SO_REUSEPORT");
  must(setsockopt(udp6, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3), "SO_BINDTODEVICE");
  Watch watch(for_this_process({"bind"}));
  // The kernel chooses the port.
  must(bind_to(tcp, v4("127.0.0.1", 0)), "bind");
  must(listen(tcp, 7), "listen");
  must(bind_to(udp6, v6("::1", 5353)), "bind");
  sockaddr_in chosen = {};
  socklen_t size = sizeof(chosen);
  must(getsockname(tcp, reinterpret_cast<sockaddr *>(&chosen), &size), "getsockname");
  uint16_t port = ntohs(chosen.sin_port);
  expect(bind_to(taken, v4("127.0.0.1", port)) < 0 && errno == EADDRINUSE, "bind to a port that is taken");
  expect(bind_to(taken, v4("192.0.2.1", 80)) < 0 && errno == EADDRNOTAVAIL, "bind to an address of somebody else");
  expect(bind_to(udp6, v6("::1", 99)) < 0 && errno == EINVAL, "bind a second time");
  expect(listen(udp6, 3) < 0 && errno == EOPNOTSUPP, "listen on a datagram socket");
  sockaddr_un path = {AF_UNIX, "socket"};
  must(bind_to(local, path), "bind");
  expect(bind_to(-1, path) < 0, "bind of nothing");
  Seen seen = watch.stop();
  struct Table {
    const char *call;
    int error, fd;
    const char *protocol, *address;
    uint64_t port;
    int64_t backlog;
    uint64_t reuse_address, reuse_port, interface;
  } table[] = {
      {"bind", 0, tcp, "TCP", "127.0.0.1", port, 0, 1, 0, 0},
      {"listen", 0, tcp, "TCP", "127.0.0.1", port, 7, 1, 0, 0},
      {"bind", 0, udp6, "UDP", "::1", 5353, 0, 0, 1, 1},
      {"bind", EADDRINUSE, taken, "TCP", "127.0.0.1", port, 0, 0, 0, 0},
      {"bind", EADDRNOTAVAIL, taken, "TCP", "192.0.2.1", 80, 0, 0, 0, 0},
      {"bind", EINVAL, udp6, "UDP", "::1", 99, 0, 0, 1, 1},
      {"listen", EOPNOTSUPP, udp6, "UDP", "::1", 5353, 3, 0, 1, 1},
  };
  expect_equal(seen.rows.size(), std::size(table), "rows");
  for (size_t i = 0; i < seen.rows.size(); i++) {
    const Json &row = seen.rows[i];
    std::string what = fmt::format("row {}", i);
    expect_equal(text(row, "call"), table[i].call, "call of " + what);
    expect_equal(number(row, "errno"), static_cast<uint64_t>(table[i].error), "errno of " + what);
    expect_equal(number(row, "fd"), static_cast<uint64_t>(table[i].fd), "fd of " + what);
    expect_equal(text(row, "protocol"), table[i].protocol, "protocol of " + what);
    expect_equal(text(row, "address"), table[i].address, "address of " + what);
    expect_equal(number(row, "port"), table[i].port, "port of " + what);
    expect_equal(row["backlog"].get<int64_t>(), table[i].backlog, "backlog of " + what);
    expect_equal(number(row, "reuse_address"), table[i].reuse_address, "reuse_address of " + what);
    expect_equal(number(row, "reuse_port"), table[i].reuse_port, "reuse_port of " + what);
    expect_equal(number(row, "interface"), table[i].interface, "interface of " + what);
    expect_equal(number(row, "uid"), 0u, "uid of " + what);
  }
}

// --- ptrace ----------------------------------------------------------------------

void ptrace_requests() {
  constexpr pid_t kNobody = 0x7ffffff0;
  Watch watch({"ptrace"});
  pid_t tracee = start_child([] {
    while (true) pause();
    return 0;
  });
  pid_t willing = start_child([] { return ptrace(PTRACE_TRACEME, 0, 0, 0) == 0 ? 0 : 1; });
  expect_equal(wait_for(willing), 0, "status of the one that asks to be traced");
  must(ptrace(PTRACE_SEIZE, tracee, 0, 0), "ptrace");
  must(ptrace(PTRACE_INTERRUPT, tracee, 0, 0), "ptrace");
  wait_for(tracee);
  must(ptrace(PTRACE_DETACH, tracee, 0, 0), "ptrace");
  expect(ptrace(PTRACE_ATTACH, kNobody, 0, 0) < 0 && errno == ESRCH, "ptrace of nobody");
  kill(tracee, SIGKILL);
  waitpid(tracee, nullptr, 0);
  Seen seen = watch.stop();
  std::vector<Json> asked = rows_where(seen.rows, "pid", willing);
  expect_equal(asked.size(), size_t{1}, "rows of the one that asks to be traced");
  expect_equal(text(asked[0], "request"), "PTRACE_TRACEME", "its request");
  expect_equal(number(asked[0], "target"), static_cast<uint64_t>(getpid()), "its tracer");
  struct Table {
    const char *request;
    pid_t target;
    int error;
  } table[] = {{"PTRACE_SEIZE", tracee, 0},
               {"PTRACE_INTERRUPT", tracee, 0},
               {"PTRACE_DETACH", tracee, 0},
               {"PTRACE_ATTACH", kNobody, ESRCH}};
  std::vector<Json> rows = rows_where(seen.rows, "pid", getpid());
  expect_equal(rows.size(), std::size(table), "rows");
  for (size_t i = 0; i < rows.size(); i++) {
    expect_equal(text(rows[i], "request"), table[i].request, fmt::format("request of row {}", i));
    expect_equal(number(rows[i], "target"), static_cast<uint64_t>(table[i].target), fmt::format("target of row {}", i));
    expect_equal(number(rows[i], "errno"), static_cast<uint64_t>(table[i].error), fmt::format("errno of row {}", i));
    expect_equal(number(rows[i], "uid"), 0u, "uid");
  }
}

// --- bpf -------------------------------------------------------------------------

int call_bpf(bpf_cmd command, const bpf_attr &attributes) {
  return static_cast<int>(syscall(SYS_bpf, command, &attributes, sizeof(attributes)));
}

void bpf_commands() {
  Watch watch(for_this_process({"bpf"}));
  bpf_attr map = {};
  map.map_type = BPF_MAP_TYPE_HASH;
  map.key_size = 4;
  map.value_size = 8;
  map.max_entries = 77;
  strcpy(map.map_name, "wg_map");
  int map_fd = must(call_bpf(BPF_MAP_CREATE, map), "BPF_MAP_CREATE");
  map.key_size = 0;
  expect(call_bpf(BPF_MAP_CREATE, map) < 0 && errno == EINVAL, "a map without keys");
  // r0 = 0; exit
  bpf_insn code[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  bpf_attr program = {};
  program.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  program.insns = reinterpret_cast<uint64_t>(code);
  program.insn_cnt = 2;
  program.license = reinterpret_cast<uint64_t>("GPL");
  strcpy(program.prog_name, "wg_program");
  int program_fd = must(call_bpf(BPF_PROG_LOAD, program), "BPF_PROG_LOAD");
  program.insn_cnt = 1;
  expect(call_bpf(BPF_PROG_LOAD, program) < 0, "a program without an end");
  int load_error = errno;
  bpf_attr pin = {};
  pin.pathname = reinterpret_cast<uint64_t>("missing/folder/pin");
  pin.bpf_fd = static_cast<uint32_t>(map_fd);
  expect(call_bpf(BPF_OBJ_PIN, pin) < 0 && errno == ENOENT, "a pin in no folder");
  uint32_t key = 5;
  uint64_t value = 6;
  bpf_attr element = {};
  element.map_fd = static_cast<uint32_t>(map_fd);
  element.key = reinterpret_cast<uint64_t>(&key);
  element.value = reinterpret_cast<uint64_t>(&value);
  must(call_bpf(BPF_MAP_UPDATE_ELEM, element), "BPF_MAP_UPDATE_ELEM");
  bpf_attr tracepoint = {};
  tracepoint.raw_tracepoint.name = reinterpret_cast<uint64_t>("wg_no_such_tracepoint");
  tracepoint.raw_tracepoint.prog_fd = static_cast<uint32_t>(map_fd);
  expect(call_bpf(BPF_RAW_TRACEPOINT_OPEN, tracepoint) < 0, "a raw tracepoint of a map");
  int open_error = errno;
  Seen seen = watch.stop();
  struct Table {
    const char *command, *program, *map, *name;
    uint64_t size;
    int error, fd;
  } table[] = {
      {"MAP_CREATE", "UNSPEC", "HASH", "wg_map", 77, 0, map_fd},
      {"MAP_CREATE", "UNSPEC", "HASH", "wg_map", 77, EINVAL, -1},
      {"PROG_LOAD", "SOCKET_FILTER", "UNSPEC", "wg_program", 2, 0, program_fd},
      {"PROG_LOAD", "SOCKET_FILTER", "UNSPEC", "wg_program", 1, load_error, -1},
      {"OBJ_PIN", "UNSPEC", "UNSPEC", "missing/folder/pin", 0, ENOENT, -1},
      {"MAP_UPDATE_ELEM", "UNSPEC", "UNSPEC", "", 0, 0, -1},
      {"RAW_TRACEPOINT_OPEN", "UNSPEC", "UNSPEC", "wg_no_such_tracepoint", 0, open_error, -1},
  };
  expect_equal(seen.rows.size(), std::size(table), "rows");
  for (size_t i = 0; i < seen.rows.size(); i++) {
    const Json &row = seen.rows[i];
    std::string what = fmt::format("row {}", i);
    expect_equal(text(row, "command"), table[i].command, "command of " + what);
    expect_equal(text(row, "program"), table[i].program, "program of " + what);
    expect_equal(text(row, "map"), table[i].map, "map of " + what);
    expect_equal(text(row, "name"), table[i].name, "name of " + what);
    expect_equal(number(row, "size"), table[i].size, "size of " + what);
    expect_equal(number(row, "errno"), static_cast<uint64_t>(table[i].error), "errno of " + what);
    expect_equal(row["fd"].get<int64_t>(), table[i].fd, "fd of " + what);
  }
}

// --- module ----------------------------------------------------------------------

// A module that nobody uses, so that it can come and go. Empty when there is none.
std::string idle_module() {
  for (const char *name : {"dummy", "sch_netem", "xfs", "loop", "ext4", "veth", "overlay"}) {
    run_program({"modprobe", "-r", name});
    bool there = read_file("/proc/modules").find(fmt::format("{} ", name)) != std::string::npos;
    if (there || run_program({"modprobe", name}).status != 0) continue;
    if (read_file("/proc/modules").find(fmt::format("{} ", name)) == std::string::npos) continue;
    if (run_program({"modprobe", "-r", name}).status == 0) return name;
  }
  return {};
}

void modules_come_and_go() {
  std::string name = idle_module();
  if (name.empty()) skip_case("no module can be loaded and unloaded here");
  Watch watch({"module"});
  must_run({"modprobe", name});
  must_run({"modprobe", "-r", name});
  expect(syscall(SYS_delete_module, "wg_no_such_module", O_NONBLOCK) < 0 && errno == ENOENT, "unload of no module");
  expect(syscall(SYS_finit_module, -1, "", 0) < 0 && errno == EBADF, "load of no file");
  expect(syscall(SYS_init_module, "not a module", 12, "") < 0 && errno == ENOEXEC, "load of no module");
  // The kernel looks for a file system that it does not have.
  must(mkdir("target", 0755), "mkdir");
  expect(mount("none", "target", "wg-nofs", 0, nullptr) < 0 && errno == ENODEV, "mount of an unknown file system");
  Seen seen = watch.stop();
  std::vector<Json> of_module = rows_where(seen.rows, "name", name);
  expect_equal(of_module.size(), size_t{2}, "rows of the module");
  for (size_t i = 0; i < 2; i++) {
    expect_equal(text(of_module[i], "op"), i == 0 ? "load" : "unload", "op");
    expect_equal(text(of_module[i], "comm"), "modprobe", "comm");
    expect_equal(text(of_module[i], "taints"), "", "taints");
    expect_equal(number(of_module[i], "errno"), 0u, "errno");
  }
  struct Table {
    const char *op, *name;
    int error;
  } table[] = {{"unload", "wg_no_such_module", ENOENT},
               {"load", "", EBADF},
               {"load", "", ENOEXEC},
               {"request", "fs-wg-nofs", 0}};
  std::vector<Json> own = rows_where(seen.rows, "pid", getpid());
  expect_equal(own.size(), std::size(table), "rows of this process");
  for (size_t i = 0; i < own.size(); i++) {
    expect_equal(text(own[i], "op"), table[i].op, fmt::format("op of row {}", i));
    expect_equal(text(own[i], "name"), table[i].name, fmt::format("name of row {}", i));
    expect_equal(number(own[i], "errno"), static_cast<uint64_t>(table[i].error), fmt::format("errno of row {}", i));
  }
}

}  // namespace

void add_security_cases(std::vector<Case> &cases) {
  cases.push_back({"capability: each check, granted or refused", {}, capability_checks});
  cases.push_back({"capability: one capability, what was refused", {}, capability_filters});
  cases.push_back({"mount: mount and umount2, with what they were given", {}, mount_and_unmount});
  cases.push_back({"mount: in steps, as mount(8) does today", {}, mount_in_steps});
  cases.push_back({"bind: bind and listen, IPv4 and IPv6", {}, bind_and_listen});
  cases.push_back({"ptrace: each request, and whom", {}, ptrace_requests});
  cases.push_back({"bpf: programs, maps, failures", {}, bpf_commands});
  cases.push_back({"module: loads, unloads, requests, failures", {Need::kModules}, modules_come_and_go});
}

}  // namespace waggle::suite
