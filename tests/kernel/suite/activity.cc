#include "activity.h"

#include <elf.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "suite.h"

namespace waggle::suite {

std::string read_file(const std::string &path) {
  std::string bytes;
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return bytes;
  struct stat status = {};
  fstat(fd, &status);
  bytes.reserve(static_cast<size_t>(status.st_size));
  char block[65536];
  for (ssize_t got; (got = read(fd, block, sizeof(block))) > 0;) bytes.append(block, static_cast<size_t>(got));
  close(fd);
  return bytes;
}

void write_file(const std::string &path, std::string_view bytes, mode_t mode) {
  int fd = must(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode), "open " + path);
  if (write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) fail_case("cannot write " + path);
  fchmod(fd, mode);
  close(fd);
}

pid_t start_child(const std::function<int()> &work) {
  pid_t pid = must(fork(), "fork");
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  _exit(work());
}

int wait_for(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) != pid)
    if (errno != EINTR) fail_case(fmt::format("waitpid {}: {}", pid, strerror(errno)));
  return status;
}

void write_tiny_program(const std::string &path, int code) {
#if defined(__x86_64__)
  // mov edi, code; mov eax, SYS_exit; syscall
  unsigned char text[] = {0xbf, static_cast<unsigned char>(code), 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05};
  constexpr Elf64_Half kMachine = EM_X86_64;
#elif defined(__aarch64__)
  // mov x0, code; mov x8, SYS_exit; svc 0
  uint32_t text[] = {0xd2800000u | static_cast<uint32_t>(code) << 5, 0xd2800ba8u, 0xd4000001u};
  constexpr Elf64_Half kMachine = EM_AARCH64;
#endif
  struct {
    Elf64_Ehdr file;
    Elf64_Phdr segment;
    char text[64];
  } image = {};
  constexpr Elf64_Addr kBase = 0x400000;
  memcpy(image.file.e_ident, ELFMAG, SELFMAG);
  image.file.e_ident[EI_CLASS] = ELFCLASS64;
  image.file.e_ident[EI_DATA] = ELFDATA2LSB;
  image.file.e_ident[EI_VERSION] = EV_CURRENT;
  image.file.e_type = ET_EXEC;
  image.file.e_machine = kMachine;
  image.file.e_version = EV_CURRENT;
  image.file.e_entry = kBase + offsetof(decltype(image), text);
  image.file.e_phoff = offsetof(decltype(image), segment);
  image.file.e_ehsize = sizeof(Elf64_Ehdr);
  image.file.e_phentsize = sizeof(Elf64_Phdr);
  image.file.e_phnum = 1;
  image.segment.p_type = PT_LOAD;
  image.segment.p_flags = PF_R | PF_X;
  image.segment.p_vaddr = image.segment.p_paddr = kBase;
  image.segment.p_filesz = image.segment.p_memsz = sizeof(image);
  image.segment.p_align = 0x1000;
  memcpy(image.text, text, sizeof(text));
  write_file(path, {reinterpret_cast<const char *>(&image), sizeof(image)}, 0755);
}

namespace {

pid_t spawn_any(const std::string &path, const std::vector<std::string> &arguments, volatile int *failure) {
  std::vector<char *> argv;
  for (const std::string &argument : arguments) argv.push_back(const_cast<char *>(argument.c_str()));
  argv.push_back(nullptr);
  char *const environment[] = {nullptr};
  // The child borrows our memory until it has started the program.
  pid_t pid = vfork();
  if (pid == 0) {
    execve(path.c_str(), argv.data(), environment);
    *failure = errno;
    _exit(127);
  }
  return must(pid, "vfork");
}

}  // namespace

pid_t spawn(const std::string &path, const std::vector<std::string> &arguments) {
  volatile int failure = 0;
  pid_t pid = spawn_any(path, arguments, &failure);
  if (failure != 0) fail_case(fmt::format("cannot start {}: {}", path, strerror(failure)));
  return pid;
}

int spawn_failing(const std::string &path, const std::vector<std::string> &arguments) {
  volatile int failure = 0;
  wait_for(spawn_any(path, arguments, &failure));
  expect(failure != 0, path + " was started, though it should not");
  return failure;
}

Output run_program(const std::vector<std::string> &arguments) {
  int ends[2];
  must(pipe2(ends, O_CLOEXEC), "pipe");
  pid_t pid = start_child([&] {
    std::vector<char *> argv;
    for (const std::string &argument : arguments) argv.push_back(const_cast<char *>(argument.c_str()));
    argv.push_back(nullptr);
    dup2(ends[1], 1);
    dup2(ends[1], 2);
    execvp(argv[0], argv.data());
    fmt::print(stderr, "{}: {}\n", argv[0], strerror(errno));
    return 127;
  });
  close(ends[1]);
  Output output;
  char block[4096];
  for (ssize_t got; (got = read(ends[0], block, sizeof(block))) > 0;)
    output.text.append(block, static_cast<size_t>(got));
  close(ends[0]);
  output.status = wait_for(pid);
  return output;
}

void must_run(const std::vector<std::string> &arguments) {
  Output output = run_program(arguments);
  if (output.status == 0) return;
  std::string line;
  for (const std::string &argument : arguments) line += argument + " ";
  fail_case(fmt::format("{}ended with status {:#x}: {}", line, output.status, output.text));
}

LoopDevice::LoopDevice(uint64_t bytes) {
  static int devices = 0;
  std::string image = fmt::format("{}/loop.{}", folder(), ++devices);
  int file = must(open(image.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600), "open " + image);
  must(ftruncate(file, static_cast<off_t>(bytes)), "ftruncate");
  int control = must(open("/dev/loop-control", O_RDWR | O_CLOEXEC), "open /dev/loop-control");
  // Somebody else may take the free one first.
  for (int tries = 0; tries < 50; tries++) {
    int number = must(ioctl(control, LOOP_CTL_GET_FREE), "LOOP_CTL_GET_FREE");
    path_ = fmt::format("/dev/loop{}", number);
    fd_ = must(open(path_.c_str(), O_RDWR | O_CLOEXEC), "open " + path_);
    if (ioctl(fd_, LOOP_SET_FD, file) == 0) break;
    if (errno != EBUSY) fail_case(fmt::format("LOOP_SET_FD {}: {}", path_, strerror(errno)));
    close(fd_);
    fd_ = -1;
    usleep(20000);
  }
  expect(fd_ >= 0, "no loop device stays free");
  // It detaches itself when the last user has gone, so also when the case is killed.
  loop_info64 info = {};
  info.lo_flags = LO_FLAGS_AUTOCLEAR;
  must(ioctl(fd_, LOOP_SET_STATUS64, &info), "LOOP_SET_STATUS64");
  close(control);
  close(file);
}

LoopDevice::~LoopDevice() {
  close(fd_);
}

void enter_new_network() {
  must(unshare(CLONE_NEWNET), "unshare a network");
  int fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
  ifreq request = {};
  strcpy(request.ifr_name, "lo");
  must(ioctl(fd, SIOCGIFFLAGS, &request), "SIOCGIFFLAGS");
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  must(ioctl(fd, SIOCSIFFLAGS, &request), "SIOCSIFFLAGS");
  close(fd);
}

std::string cgroup_root() {
  std::istringstream mounts(read_file("/proc/self/mountinfo"));
  for (std::string line; std::getline(mounts, line);) {
    if (line.find(" - cgroup2 ") == std::string::npos) continue;
    std::istringstream fields(line);
    std::string field;
    for (int i = 0; i < 5; i++) fields >> field;
    return field;
  }
  return {};
}

Cgroup::Cgroup(std::string_view name) : path_(fmt::format("{}/waggle-suite-{}-{}", cgroup_root(), name, getpid())) {
  must(mkdir(path_.c_str(), 0755), "mkdir " + path_);
}

Cgroup::~Cgroup() {
  // A process that ended a moment ago may still be in it.
  for (int tries = 0; tries < 100 && rmdir(path_.c_str()) != 0 && errno == EBUSY; tries++) usleep(10000);
}

void Cgroup::take(pid_t pid) {
  write_file(path_ + "/cgroup.procs", std::to_string(pid));
}

uint64_t now_ns() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

void set_name(std::string_view name) {
  prctl(PR_SET_NAME, std::string(name).c_str());
}

void pin_to_cpu(pid_t tid, int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  must(sched_setaffinity(tid, sizeof(set), &set), "sched_setaffinity");
}

int last_cpu() {
  cpu_set_t set;
  CPU_ZERO(&set);
  must(sched_getaffinity(0, sizeof(set), &set), "sched_getaffinity");
  int last = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
    if (CPU_ISSET(cpu, &set)) last = cpu;
  return last;
}

}  // namespace waggle::suite
