#include "symbol/user_symbols.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/fd.h"
#include "format/elf.h"
#include "format/elf_sample.h"
#include "kernel/procfs.h"
#include "symbol/debug_file.h"
#include "symbol/files.h"

namespace waggle {

// Outside of the unnamed namespace, so that the linker keeps the name.
__attribute__((noinline)) int test_function(int a) {
  asm volatile("");
  return a + 1;
}
extern "C" __attribute__((noinline)) int waggle_c_function(int a) {
  asm volatile("");
  return a + 2;
}

namespace {

using namespace std::chrono_literals;
using enum FrameAddress;

uint64_t address_of(int (*function)(int)) {
  return reinterpret_cast<uint64_t>(function);
}

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    char name[] = "/tmp/waggle_symbol_XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  const std::string &path() const { return path_; }
  std::string operator/(const std::string &name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

void write_file(const std::string &path, std::span<const std::byte> bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char *>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

void write_file(const std::string &path, std::string_view text) {
  write_file(path, std::as_bytes(std::span(text)));
}

bool run(const std::string &command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

// A file mapped as the loader would map its code; nobody executes it.
class CodeMapping {
 public:
  CodeMapping(const std::string &path, uint64_t offset, size_t bytes) : bytes_(bytes) {
    Result<Fd> file = open_file(path);
    if (file)
      start_ = ::mmap(nullptr, bytes, PROT_READ | PROT_EXEC, MAP_PRIVATE, file->get(), static_cast<off_t>(offset));
  }
  ~CodeMapping() { ::munmap(start_, bytes_); }
  uint64_t start() const { return reinterpret_cast<uint64_t>(start_); }

 private:
  void *start_ = MAP_FAILED;
  size_t bytes_;
};

// A child that waits: for go(), to do what it is for, and then for its end.
class Child {
 public:
  explicit Child(void (*work)() = [] {}) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    Fd wait(ends[0]);
    go_ = Fd(ends[1]);
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    char byte;
    if (::read(wait.get(), &byte, 1) == 1) work();
    while (true) ::pause();
  }
  ~Child() { end(); }
  int32_t pid() const { return pid_; }
  void go() { EXPECT_EQ(::write(go_.get(), "+", 1), 1); }
  void end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_ = -1;
  Fd go_;
};

TEST(UserFrame, Text) {
  struct Case {
    UserFrame frame;
    std::string_view without, with;
  };
  const Case kCases[] = {
      {{"main", 0x1f, "a.out", "/a.out", ""}, "main", "main+0x1f"},
      {{"main", 0, "a.out", "/a.out", ""}, "main", "main+0x0"},
      {{"", 0x1f, "a.out", "/a.out", ""}, "a.out+0x1f", "a.out+0x1f"},
      {{"", 0x1f, "[anon]", "", ""}, "[anon]+0x1f", "[anon]+0x1f"},
      {{"", 0x1f, "", "", ""}, "0x1f", "0x1f"},
  };
  for (const Case &c : kCases) {
    EXPECT_EQ(c.frame.text(false), c.without);
    EXPECT_EQ(c.frame.text(true), c.with);
  }
}

TEST(UserSymbols, FindsFunctionsOfThisProcess) {
  UserSymbols symbols;
  uint64_t test = address_of(test_function), plain = address_of(waggle_c_function);
  // By name: with a PLT the address of a function of libc may be in this program.
  auto libc = reinterpret_cast<uint64_t>(::dlsym(RTLD_DEFAULT, "getppid"));
  struct Case {
    uint64_t address;
    FrameAddress kind;
    std::string text, object;
  };
  const Case kCases[] = {
      {test, kInstruction, "waggle::test_function(int)+0x0", "symbol_test"},
      {test + 1, kInstruction, "waggle::test_function(int)+0x1", "symbol_test"},
      {test + 1, kReturn, "waggle::test_function(int)+0x1", "symbol_test"},
      {plain, kInstruction, "waggle_c_function+0x0", "symbol_test"},
      {libc + 2, kInstruction, "getppid+0x2", "libc.so.6"},
      {8, kInstruction, "0x8", ""},
      {0, kReturn, "0x0", ""},
      {~uint64_t{0}, kReturn, "0xffffffffffffffff", ""},
  };
  for (const Case &c : kCases) {
    UserFrame frame = symbols.resolve(::getpid(), c.address, c.kind);
    EXPECT_EQ(frame.text(true), c.text);
    EXPECT_EQ(frame.object, c.object);
    EXPECT_EQ(frame.path.empty(), c.object.empty());
  }
  EXPECT_GE(symbols.resolve(::getpid(), libc, kInstruction).build_id.size(), 16u);
  EXPECT_EQ(symbols.tables(), 2u);
  EXPECT_GT(symbols.table_bytes(), 0u);
}

// The first byte of a function, as a return address, belongs to the call before it.
TEST(UserSymbols, LooksUpCallersByTheByteBefore) {
  TemporaryDirectory directory;
  ElfSample sample;
  sample.symtab = {{"caller", 0x1000, 0x20}, {"next", 0x1020, 0x20}};
  write_file(directory / "sample.so", sample.build());
  CodeMapping mapping(directory / "sample.so", 0x1000, 0x1000);
  UserSymbols symbols;
  EXPECT_EQ(symbols.resolve(::getpid(), mapping.start() + 0x20, kInstruction).text(true), "next+0x0");
  EXPECT_EQ(symbols.resolve(::getpid(), mapping.start() + 0x20, kReturn).text(true), "caller+0x20");
}

TEST(UserSymbols, UsesTheSegmentsOfTheFile) {
  struct Case {
    const char *name;
    uint16_t type;
    uint64_t text_offset, text_address;
  };
  constexpr Case kCases[] = {
      {"shared", ET_DYN, 0x1000, 0x1000},
      {"not position independent", ET_EXEC, 0x1000, 0x401000},
      {"prelinked", ET_DYN, 0x1000, 0x3a12201000},
      {"text not at its offset", ET_DYN, 0x3000, 0x7000},
      {"text in the middle of a page", ET_DYN, 0x1240, 0x2240},
      {"address wraps", ET_DYN, 0x2000, ~uint64_t{0} - 0xfff},
  };
  for (const Case &c : kCases) {
    TemporaryDirectory directory;
    ElfSample sample;
    sample.type = c.type;
    sample.text_offset = c.text_offset;
    sample.text_address = c.text_address;
    sample.text_bytes = 0x800;
    sample.symtab = {{"first", c.text_address, 0x20}, {"second", c.text_address + 0x40, 0x20}};
    write_file(directory / "sample", sample.build());
    CodeMapping mapping(directory / "sample", c.text_offset & ~uint64_t{0xfff}, 0x1000);
    uint64_t text = mapping.start() + (c.text_offset & 0xfff);
    UserSymbols symbols;
    EXPECT_EQ(symbols.resolve(::getpid(), text, kInstruction).text(true), "first+0x0") << c.name;
    EXPECT_EQ(symbols.resolve(::getpid(), text + 0x44, kInstruction).text(true), "second+0x4") << c.name;
    // Without a symbol: the address that addr2line takes.
    EXPECT_EQ(symbols.resolve(::getpid(), text + 0x30, kInstruction).text(true),
              fmt::format("sample+{:#x}", c.text_address + 0x30))
        << c.name;
  }
}

TEST(UserSymbols, KeepsFramesOfFilesItCannotRead) {
  ElfSample sample;
  sample.symtab = {{"function", 0x1000, 0x20}};
  std::vector<std::byte> whole = sample.build(), nothing, no_symbols, cut = whole;
  sample.symtab.clear();
  no_symbols = sample.build();
  cut.resize(0x1800);  // without the section headers at the end
  std::vector<std::byte> junk(0x2000, std::byte{0x90});
  struct Case {
    const char *name;
    const std::vector<std::byte> &bytes;
    std::string_view text;
  };
  const Case kCases[] = {
      {"whole", whole, "function+0x0"},
      {"no symbols", no_symbols, "sample+0x1000"},
      {"cut", cut, "sample+0x1000"},
      {"junk", junk, "sample+0x1000"},
  };
  for (const Case &c : kCases) {
    TemporaryDirectory directory;
    write_file(directory / "sample", c.bytes);
    CodeMapping mapping(directory / "sample", 0x1000, 0x1000);
    UserSymbols symbols;
    for (int i = 0; i < 2; i++)  // the second answer comes from memory
      EXPECT_EQ(symbols.resolve(::getpid(), mapping.start(), kInstruction).text(true), c.text) << c.name;
  }
}

TEST(UserSymbols, NamesMemoryThatIsNoFile) {
  void *page = ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  UserSymbols symbols;
  // Not the address of a variable: looking for uses after return, ASan keeps those on a stack of its own.
  uint64_t stack = reinterpret_cast<uint64_t>(__builtin_frame_address(0));
  EXPECT_EQ(symbols.resolve(::getpid(), stack, kInstruction).object, "[stack]");
  // Neighbours may have been merged with it, so only the form is known.
  EXPECT_EQ(symbols.resolve(::getpid(), reinterpret_cast<uint64_t>(page), kInstruction).text(true).substr(0, 9),
            "[anon]+0x");
  ::munmap(page, 4096);
}

TEST(UserSymbols, FindsTheVdso) {
  uint64_t vdso = ::getauxval(AT_SYSINFO_EHDR);
  if (vdso == 0) GTEST_SKIP() << "this kernel gives its programs no vdso";
  void *handle = ::dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);
  void *function = handle == nullptr ? nullptr : ::dlsym(handle, "__vdso_clock_gettime");
  if (function == nullptr) GTEST_SKIP() << "this vdso has no __vdso_clock_gettime";
  UserSymbols symbols;
  UserFrame frame = symbols.resolve(::getpid(), reinterpret_cast<uint64_t>(function) + 1, kInstruction);
  EXPECT_EQ(frame.object, "[vdso]");
  EXPECT_NE(frame.symbol.find("clock_gettime"), std::string::npos) << frame.text(true);
  EXPECT_EQ(frame.offset, 1u);
}

TEST(UserSymbols, SeesLibrariesThatAreLoadedLater) {
  TemporaryDirectory directory;
  ElfSample sample;
  sample.symtab = {{"late", 0x1000, 0x20}};
  write_file(directory / "late.so", sample.build());
  UserSymbols symbols;
  symbols.note(::getpid());
  std::this_thread::sleep_for(300ms);
  CodeMapping mapping(directory / "late.so", 0x1000, 0x1000);
  EXPECT_EQ(symbols.resolve(::getpid(), mapping.start(), kInstruction).text(true), "late+0x0");
}

TEST(UserSymbols, KnowsAProcessThatHasExited) {
  TemporaryDirectory directory;
  ElfSample sample;
  sample.symtab = {{"gone", 0x1000, 0x20}};
  write_file(directory / "gone.so", sample.build());
  CodeMapping mapping(directory / "gone.so", 0x1000, 0x1000);
  Child child;
  UserSymbols symbols;
  symbols.note(child.pid());
  int32_t pid = child.pid();
  child.end();
  // Its own file, and one whose name is gone too.
  std::filesystem::remove(directory / "gone.so");
  EXPECT_EQ(symbols.resolve(pid, address_of(test_function), kInstruction).symbol, "waggle::test_function(int)");
  EXPECT_EQ(symbols.resolve(pid, mapping.start() + 4, kInstruction).text(true), "gone+0x4");

  UserSymbols ignorant;
  EXPECT_EQ(ignorant.resolve(pid, 0x1234, kInstruction).text(true), "0x1234");
}

TEST(UserSymbols, KnowsTheProgramBefore) {
  Child child([] { ::execl("/bin/sleep", "sleep", "1000", nullptr); });
  UserSymbols symbols;
  symbols.note(child.pid());
  child.go();
  for (int i = 0;
       i < 100 && std::filesystem::read_symlink(fmt::format("/proc/{}/exe", child.pid())).filename() == "symbol_test";
       i++)
    std::this_thread::sleep_for(10ms);
  symbols.note(child.pid());
  uint64_t entry = 0;
  Result<std::vector<MapRange>> maps = ProcessFiles::open(child.pid())->maps();
  ASSERT_TRUE(maps);
  for (const MapRange &range : *maps)
    if (range.executable && entry == 0) entry = range.start;
  EXPECT_NE(symbols.resolve(child.pid(), entry, kInstruction).object, "symbol_test");
  EXPECT_EQ(symbols.resolve(child.pid(), address_of(test_function), kInstruction).symbol, "waggle::test_function(int)");
}

TEST(UserSymbols, ReadsAFileOnceHoweverOftenItIsNoted) {
  TemporaryDirectory directory;
  ElfSample sample;
  sample.build_id = "";  // by which the table could be found again
  sample.symtab = {{"function", 0x1000, 0x20}};
  write_file(directory / "sample.so", sample.build());
  CodeMapping mapping(directory / "sample.so", 0x1000, 0x1000);
  UserSymbols symbols;
  for (int i = 0; i < 3; i++) {
    symbols.note(::getpid());
    EXPECT_EQ(symbols.resolve(::getpid(), mapping.start(), kInstruction).text(true), "function+0x0");
    EXPECT_EQ(symbols.tables(), 1u);
  }
}

// The file is open when it is deleted, and its name belongs to another one.
TEST(UserSymbols, ReadsTheFileThatIsMapped) {
  TemporaryDirectory directory;
  ElfSample sample;
  sample.symtab = {{"old_function", 0x1000, 0x20}};
  write_file(directory / "library.so", sample.build());
  CodeMapping mapping(directory / "library.so", 0x1000, 0x1000);
  std::filesystem::remove(directory / "library.so");
  sample.symtab = {{"new_function", 0x1000, 0x20}};
  write_file(directory / "library.so", sample.build());
  UserSymbols symbols;
  UserFrame frame = symbols.resolve(::getpid(), mapping.start(), kInstruction);
  if (::access(fmt::format("/proc/self/map_files/{:x}-{:x}", mapping.start(), mapping.start() + 0x1000).c_str(),
               R_OK) == 0)
    EXPECT_EQ(frame.text(true), "old_function+0x0");
  else
    EXPECT_EQ(frame.text(true), "library.so+0x1000");
}

TEST(UserSymbols, SharesTablesBetweenProcessesAndByBuildId) {
  TemporaryDirectory directory;
  ElfSample sample;
  sample.symtab = {{"function", 0x1000, 0x20}};
  write_file(directory / "one.so", sample.build());
  write_file(directory / "two.so", sample.build());
  CodeMapping one(directory / "one.so", 0x1000, 0x1000), two(directory / "two.so", 0x1000, 0x1000);
  Child first, second;
  UserSymbols symbols;
  for (int32_t pid : {first.pid(), second.pid()}) {
    symbols.note(pid);
    EXPECT_EQ(symbols.resolve(pid, one.start(), kInstruction).text(true), "function+0x0");
    EXPECT_EQ(symbols.resolve(pid, two.start(), kInstruction).path, directory / "two.so");
    EXPECT_EQ(symbols.resolve(pid, two.start(), kInstruction).text(true), "function+0x0");
  }
  EXPECT_EQ(symbols.tables(), 1u);
}

TEST(UserSymbols, DropsTablesAboveItsLimit) {
  TemporaryDirectory directory;
  std::vector<std::unique_ptr<CodeMapping>> mappings;
  for (int i = 0; i < 8; i++) {
    ElfSample sample;
    sample.build_id = fmt::format("build{:03}", i);
    for (uint64_t f = 0; f < 100; f++)
      sample.symtab.push_back({fmt::format("function_{}_{}", i, f), 0x1000 + f * 16, 16});
    sample.text_offset = 0x4000;
    std::string path = directory / fmt::format("{}.so", i);
    write_file(path, sample.build());
    mappings.push_back(std::make_unique<CodeMapping>(path, 0x4000, 0x1000));
  }
  UserSymbols symbols({.table_bytes_most = 10'000});
  for (int round = 0; round < 2; round++) {
    for (int i = 0; i < 8; i++) {
      UserFrame frame = symbols.resolve(::getpid(), mappings[static_cast<size_t>(i)]->start() + 16, kInstruction);
      EXPECT_EQ(frame.text(true), fmt::format("function_{}_1+0x0", i));
      EXPECT_LE(symbols.table_bytes(), 10'000u);
    }
  }
  EXPECT_EQ(symbols.tables(), 3u);

  UserSymbols small({.table_bytes_most = 1000});
  EXPECT_EQ(small.resolve(::getpid(), mappings[0]->start() + 16, kInstruction).text(true), "0.so+0x1010");
}

TEST(UserSymbols, ForgetsTheProcessesAskedForLeast) {
  UserSymbols symbols({.processes_most = 2});
  std::vector<Child> children(4);
  for (Child &child : children) symbols.note(child.pid());
  std::vector<int32_t> pids;
  for (Child &child : children) {
    pids.push_back(child.pid());
    child.end();
  }
  EXPECT_EQ(symbols.resolve(pids[3], address_of(test_function), kInstruction).object, "symbol_test");
  EXPECT_EQ(symbols.resolve(pids[0], address_of(test_function), kInstruction).object, "");
}

TEST(UserSymbols, ReadsPerfMaps) {
  std::string path = fmt::format("/tmp/perf-{}.map", ::getpid());
  void *page = ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  auto start = reinterpret_cast<uint64_t>(page);
  write_file(path, fmt::format("{:x} 20 fib app.js:3\n{:x} 20 hal", start, start + 0x20));
  UserSymbols symbols;
  UserFrame frame = symbols.resolve(::getpid(), start + 4, kInstruction);
  EXPECT_EQ(frame.text(true), "fib app.js:3+0x4");
  EXPECT_EQ(frame.object, "[anon]");
  EXPECT_EQ(symbols.resolve(::getpid(), start + 0x24, kInstruction).symbol, "");

  std::ofstream(path, std::ios::app) << "f a line\n";
  std::this_thread::sleep_for(300ms);
  EXPECT_EQ(symbols.resolve(::getpid(), start + 0x24, kInstruction).text(true), "half a line+0x4");

  // Another user's file of that name could say anything.
  UserSymbols wary;
  if (::getuid() == 0) {
    ASSERT_EQ(::chown(path.c_str(), 12345, 12345), 0);
    EXPECT_EQ(wary.resolve(::getpid(), start + 4, kInstruction).symbol, "");
  }
  std::filesystem::remove(path);
  ::munmap(page, 4096);
}

TEST(DebugFile, IsFoundByBuildIdAndByName) {
  ElfSample stripped, debug;
  debug.symtab = {{"hidden", 0x1000, 0x20}};
  stripped.dynsym = {{"visible", 0x1000, 0x20}};
  stripped.debug_link = "library.debug";
  struct Case {
    const char *name;
    std::string place;  // of the debug file; @ stands for the library's directory
    std::string build_id, debug_build_id;
    bool right_crc;
    std::string_view symbol;
  };
  const Case kCases[] = {
      {"by build id", "debug/.build-id/ab/cdef.debug", "\xab\xcd\xef", "\xab\xcd\xef", false, "hidden"},
      {"beside the library", "lib/library.debug", "\xab\xcd\xef", "\xab\xcd\xef", false, "hidden"},
      {"in .debug", "lib/.debug/library.debug", "\xab\xcd\xef", "\xab\xcd\xef", false, "hidden"},
      {"in the debug directory", "debug/@/library.debug", "\xab\xcd\xef", "\xab\xcd\xef", false, "hidden"},
      {"of another build", "lib/library.debug", "\xab\xcd\xef", "\xab\xcd\xee", true, "visible"},
      {"by checksum", "lib/library.debug", "", "", true, "hidden"},
      {"of another checksum", "lib/library.debug", "", "", false, "visible"},
      {"nowhere", "elsewhere/library.debug", "\xab\xcd\xef", "\xab\xcd\xef", true, "visible"},
  };
  for (const Case &c : kCases) {
    TemporaryDirectory directory;
    std::string place = c.place;
    if (size_t at = place.find('@'); at != std::string::npos) place.replace(at, 1, (directory / "lib").substr(1));
    debug.build_id = c.debug_build_id;
    std::vector<std::byte> debug_bytes = debug.build();
    write_file(directory / place, debug_bytes);
    stripped.build_id = c.build_id;
    Result<std::unique_ptr<ElfBytes>> opened = elf_bytes(*open_regular(directory / place));
    ASSERT_TRUE(opened);
    stripped.debug_link_crc = c.right_crc ? *crc32_of(**opened) : 1;
    write_file(directory / "lib/library.so", stripped.build());
    CodeMapping mapping(directory / "lib/library.so", 0x1000, 0x1000);
    UserSymbols symbols({.debug_directory = directory / "debug"});
    EXPECT_EQ(symbols.resolve(::getpid(), mapping.start(), kInstruction).symbol, c.symbol) << c.name;
  }
}

// What the tools of the system write: a program of its own, stripped, and with
// a debug file; each is run, and asked where its function is.
TEST(UserSymbols, ReadsWhatToolsWrite) {
  if (!run("gcc --version") || !run("objcopy --version")) GTEST_SKIP() << "there is no gcc or objcopy here";
  struct Case {
    const char *name;
    std::string compile, process;  // commands, % is the program
    std::string_view symbol;
  };
  const Case kCases[] = {
      {"position independent", "gcc -O1 -pie -fPIE", "true", "where_am_i"},
      {"not position independent", "gcc -O1 -no-pie", "true", "where_am_i"},
      {"static", "gcc -O1 -static", "true", "where_am_i"},
      {"static pie", "gcc -O1 -static-pie", "true", "where_am_i"},
      {"one segment of code and data", "gcc -O1 -Wl,-z,noseparate-code", "true", "where_am_i"},
      {"stripped, exported", "gcc -O1 -rdynamic", "strip %", "where_am_i"},
      {"stripped", "gcc -O1", "strip %", ""},
      {"debug link", "gcc -O1 -g",
       "objcopy --only-keep-debug % %.debug && strip % && objcopy --add-gnu-debuglink=%.debug %", "where_am_i"},
      {"debug link without build id", "gcc -O1 -g -Wl,--build-id=none",
       "objcopy --only-keep-debug % %.debug && strip % && objcopy --add-gnu-debuglink=%.debug %", "where_am_i"},
  };
  for (const Case &c : kCases) {
    TemporaryDirectory directory;
    std::string program = directory / "program";
    write_file(program + ".c",
               "#include <stdio.h>\n"
               "__attribute__((noinline)) int where_am_i(int a) { __asm__ volatile(\"nop\"); return a + 3; }\n"
               "int main(int n, char **v) { (void)v; printf(\"%lx\\n\", (unsigned long)where_am_i); fflush(stdout);\n"
               "  getchar(); return where_am_i(n) == 0; }\n");
    ASSERT_TRUE(run(fmt::format("{} -o {} {}.c", c.compile, program, program))) << c.name;
    std::string process = c.process;
    for (size_t at; (at = process.find('%')) != std::string::npos;) process.replace(at, 1, program);
    ASSERT_TRUE(run(process)) << c.name;

    int to_child[2], from_child[2];
    ASSERT_EQ(::pipe2(to_child, O_CLOEXEC) | ::pipe2(from_child, O_CLOEXEC), 0);
    Fd input_read(to_child[0]), input(to_child[1]), output(from_child[0]), output_write(from_child[1]);
    pid_t pid = ::fork();
    if (pid == 0) {
      ::dup2(input_read.get(), 0);
      ::dup2(output_write.get(), 1);
      ::execl(program.c_str(), program.c_str(), nullptr);
      ::_exit(127);
    }
    output_write.reset();
    char text[64] = {};
    ASSERT_GT(::read(output.get(), text, sizeof text - 1), 0) << c.name;
    uint64_t address = std::strtoull(text, nullptr, 16);
    UserSymbols symbols;
    UserFrame frame = symbols.resolve(pid, address + 1, kInstruction);
    EXPECT_EQ(frame.symbol, c.symbol) << c.name;
    EXPECT_EQ(frame.object, "program") << c.name;
    EXPECT_EQ(frame.path, program) << c.name;
    input.reset();
    ::waitpid(pid, nullptr, 0);
  }
}

TEST(Files, AreOnlyRegularOnes) {
  TemporaryDirectory directory;
  ASSERT_EQ(::mkfifo((directory / "pipe").c_str(), 0600), 0);
  write_file(directory / "file", "content");
  std::filesystem::create_symlink("file", directory / "link");
  struct Case {
    std::string path;
    bool good;
  };
  const Case kCases[] = {
      {directory / "file", true}, {directory / "link", true},     {directory / "pipe", false},
      {directory.path(), false},  {directory / "nothing", false}, {"/dev/zero", false},
  };
  for (const Case &c : kCases) {
    EXPECT_EQ(open_regular(c.path).has_value(), c.good) << c.path;
    EXPECT_EQ(open_in_root_of(::getpid(), c.path).has_value(), c.good) << c.path;
  }
}

TEST(Files, ChecksumIsTheOneOfZlib) {
  TemporaryDirectory directory;
  write_file(directory / "file", "123456789");
  Result<std::unique_ptr<ElfBytes>> bytes = elf_bytes(*open_regular(directory / "file"));
  ASSERT_TRUE(bytes);
  EXPECT_EQ(*crc32_of(**bytes), 0xcbf43926u);
}

// A container's absolute link must lead into the container.
TEST(Files, FollowLinksInsideOfTheRoot) {
  if (::getuid() != 0) GTEST_SKIP() << "chroot(2) takes root";
  TemporaryDirectory directory;
  write_file(directory / "etc/inside", "inside");
  std::filesystem::create_symlink("/etc/inside", directory / "link");
  std::filesystem::create_symlink("/etc/passwd", directory / "escape");
  std::filesystem::create_symlink("../../../../etc/passwd", directory / "climb");
  int ready[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  Fd ready_read(ready[0]), ready_write(ready[1]);
  pid_t pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    char byte = ::chroot(directory.path().c_str()) == 0 ? '+' : '-';
    if (::write(ready_write.get(), &byte, 1) != 1) ::_exit(1);
    while (true) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready_read.get(), &byte, 1), 1);
  ASSERT_EQ(byte, '+');
  EXPECT_TRUE(open_in_root_of(pid, "/link"));
  EXPECT_FALSE(open_in_root_of(pid, "/escape"));
  EXPECT_FALSE(open_in_root_of(pid, "/climb"));
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

}  // namespace
}  // namespace waggle
