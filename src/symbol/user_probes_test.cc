#include "symbol/user_probes.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "symbol/user_files.h"

extern "C" {
__attribute__((noinline, used)) int user_probes_test_one(int value) {
  return value + 1;
}
__attribute__((noinline, used)) int user_probes_test_two(int value) {
  return value + 2;
}
}

namespace waggle {
namespace user_probes_test {
__attribute__((noinline, used)) int in_a_namespace(int value) {
  return value + 3;
}
}  // namespace user_probes_test
namespace {

const std::string kSelf = "/proc/self/exe:";

// Functions that nobody calls are not linked.
volatile int called = user_probes_test_one(1) + user_probes_test_two(2) + user_probes_test::in_a_namespace(3);

TEST(UserFiles, KnowsShortNames) {
  struct Case {
    std::string_view base_name, short_name;
    bool named;
  };
  constexpr Case kCases[] = {
      {"libc.so.6", "c", true},
      {"libc.so.6", "libc", true},
      {"libc.so.6", "libc.so", true},
      {"libc.so.6", "libc.so.6", true},
      {"libc-2.31.so", "libc", true},
      {"libc-2.31.so", "c", true},
      {"ld-musl-x86_64.so.1", "libc", true},
      {"bash", "bash", true},
      {"libcrypt.so.1", "c", false},
      {"libcrypt.so.1", "libc", false},
      {"libc.so.6", "lib", false},
      {"libc-client.so.2", "libc", false},
      {"libstdc++.so.6", "stdc++", true},
      {"libc.sox", "libc", false},
      {"libc.so.6", "", false},
  };
  for (const Case &each : kCases)
    EXPECT_EQ(is_file_named(each.base_name, each.short_name), each.named) << each.base_name << " " << each.short_name;
}

TEST(UserFiles, FindsLibrariesAndPrograms) {
  for (int32_t pid : {0, static_cast<int32_t>(getpid())}) {
    auto library = find_user_files("libc", pid);
    ASSERT_TRUE(library) << library.error().text();
    ASSERT_EQ(library->size(), 1u);
    EXPECT_NE((*library)[0].shown.find("libc"), std::string::npos);
    EXPECT_EQ((*library)[0].path.starts_with("/proc/"), pid != 0);
    auto program = find_user_files("sh", pid);
    ASSERT_TRUE(program) << program.error().text();
    EXPECT_TRUE((*program)[0].shown.ends_with("/sh"));
    auto path = find_user_files("/bin/sh", pid);
    ASSERT_TRUE(path) << path.error().text();
    EXPECT_EQ((*path)[0].shown, "/bin/sh");
  }
  EXPECT_EQ(find_user_files("no_such_library_anywhere", 0).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(find_user_files("/no/such/file", 0).error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(find_user_files("/dev", 0));
}

TEST(UserProbes, FindsFunctions) {
  struct Case {
    std::string_view pattern;
    std::vector<std::string> names;
  };
  const Case cases[] = {
      {"user_probes_test_one", {"user_probes_test_one"}},
      {"user_probes_test_*", {"user_probes_test_one", "user_probes_test_two"}},
      {"waggle::user_probes_test::in_a_namespace", {"waggle::user_probes_test::in_a_namespace(int)"}},
      {"waggle::user_probes_test::*", {"waggle::user_probes_test::in_a_namespace(int)"}},
      {"_ZN6waggle16user_probes_test14in_a_namespaceEi", {"waggle::user_probes_test::in_a_namespace(int)"}},
      {"user_probes_test_nothing*", {}},
  };
  for (const Case &each : cases) {
    auto probes = find_user_functions(kSelf + std::string(each.pattern), 0);
    std::vector<std::string> names;
    if (probes)
      for (const UserProbe &probe : *probes) names.push_back(probe.name);
    EXPECT_EQ(names, each.names) << each.pattern;
  }
}

TEST(UserProbes, SaysWhatIsMissing) {
  struct Case {
    std::string target;
    ErrorCode code;
    std::string_view words;
  };
  const Case cases[] = {
      {kSelf + "user_probes_test_onee", ErrorCode::kNotFound, "did you mean 'user_probes_test_one'?"},
      {"libc:strlen", ErrorCode::kNotFound, "IFUNC"},
      {"libc", ErrorCode::kInvalid, "FILE:NAME"},
      {":f", ErrorCode::kInvalid, "FILE:NAME"},
      {"/etc/passwd:f", ErrorCode::kInvalid, "cannot look into /etc/passwd"},
  };
  for (const Case &each : cases) {
    auto probes = find_user_functions(each.target, 0);
    ASSERT_FALSE(probes) << each.target;
    EXPECT_EQ(probes.error().code, each.code) << each.target;
    EXPECT_NE(probes.error().text().find(each.words), std::string::npos) << probes.error().text();
  }
  EXPECT_NE(find_usdt_probes("/bin/true:any", 0).error().why.find("without USDT probes"), std::string::npos);
}

TEST(UserProbes, KnowsOddReturns) {
  auto probes = find_user_functions("libc:_setjmp", 0);
  ASSERT_TRUE(probes) << probes.error().text();
  EXPECT_TRUE((*probes)[0].returns_oddly);
  // Patterns leave them out.
  EXPECT_FALSE(find_user_functions("libc:_setjm*", 0));
  probes = find_user_functions("libc:getaddrinfo", 0);
  ASSERT_TRUE(probes) << probes.error().text();
  EXPECT_FALSE((*probes)[0].returns_oddly);
}

}  // namespace
}  // namespace waggle
