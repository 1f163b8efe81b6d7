#include "script/run/mappings.h"

#include <gtest/gtest.h>
#include <linux/perf_event.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "kernel/procfs.h"

// With a name that is not mangled, and that nothing else has.
extern "C" __attribute__((noinline)) int waggle_mappings_test_target() {
  return 1;
}

namespace waggle::script {
namespace {

constexpr uint32_t kPid = 4'000'001, kChild = 4'000'002, kStranger = 4'000'003;

class Record {
 public:
  Record(uint32_t type, uint16_t misc) : type_(type), misc_(misc) {}
  template <typename Number>
  Record &number(Number value) {
    auto *begin = reinterpret_cast<const std::byte *>(&value);
    body_.insert(body_.end(), begin, begin + sizeof(value));
    return *this;
  }
  Record &text(const std::string &value) {
    for (char c : value) number(c);
    return number('\0');
  }
  std::vector<std::byte> whole() const {
    perf_event_header header = {type_, misc_, static_cast<uint16_t>(sizeof(header) + body_.size())};
    std::vector<std::byte> made(sizeof(header));
    std::memcpy(made.data(), &header, sizeof(header));
    made.insert(made.end(), body_.begin(), body_.end());
    return made;
  }

 private:
  uint32_t type_;
  uint16_t misc_;
  std::vector<std::byte> body_;
};

uint64_t target() {
  return reinterpret_cast<uint64_t>(&waggle_mappings_test_target);
}

// Where this test itself is mapped.
MapRange own_mapping() {
  Result<ProcessFiles> files = ProcessFiles::open(getpid());
  Result<std::vector<MapRange>> ranges = files->maps();
  for (const MapRange &each : *ranges)
    if (target() >= each.start && target() < each.end) return each;
  return {};
}

std::vector<std::byte> mapped(uint32_t pid) {
  MapRange range = own_mapping();
  return Record(PERF_RECORD_MMAP2, 0)
      .number(pid)
      .number(pid)
      .number(range.start)
      .number(range.end - range.start)
      .number(range.offset)
      .number(uint64_t{0})  // device
      .number(uint64_t{0})  // inode
      .number(uint64_t{0})
      .number(uint64_t{0})  // protection
      .text(range.path)
      .whole();
}

std::vector<std::byte> forked(uint32_t pid, uint32_t parent) {
  return Record(PERF_RECORD_FORK, 0).number(pid).number(parent).number(pid).number(parent).number(uint64_t{0}).whole();
}

std::vector<std::byte> executed(uint32_t pid) {
  return Record(PERF_RECORD_COMM, PERF_RECORD_MISC_COMM_EXEC).number(pid).number(pid).text("new").whole();
}

class MappingsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "following what processes map takes root";
    Result<Mappings> opened = Mappings::open();
    ASSERT_TRUE(opened) << opened.error().text();
    mappings_.emplace(std::move(*opened));
  }
  std::string name_of(uint32_t pid) {
    std::optional<Mappings::Symbol> found = mappings_->find(pid, target());
    return found ? found->name : "";
  }

  std::optional<Mappings> mappings_;
};

TEST_F(MappingsTest, AreKnownOfWhatWasTold) {
  mappings_->learn(mapped(kPid));
  EXPECT_EQ(name_of(kPid), "waggle_mappings_test_target");
  EXPECT_EQ(name_of(kStranger), "");
}

TEST_F(MappingsTest, AreInheritedUntilAProgramIsExecuted) {
  mappings_->learn(mapped(kPid));
  mappings_->learn(forked(kChild, kPid));
  EXPECT_EQ(name_of(kChild), "waggle_mappings_test_target");
  EXPECT_EQ(mappings_->parent_of(kChild), kPid);
  mappings_->learn(executed(kChild));
  EXPECT_EQ(name_of(kChild), "");
  EXPECT_EQ(mappings_->parent_of(kChild), 0u);
}

TEST_F(MappingsTest, TakeNoHarmFromRecordsThatAreCut) {
  std::vector<std::byte> whole = mapped(kPid);
  for (size_t bytes = 0; bytes < whole.size(); bytes++) mappings_->learn(std::span(whole).first(bytes));
  EXPECT_EQ(mappings_->parent_of(kPid), 0u);
}

}  // namespace
}  // namespace waggle::script
