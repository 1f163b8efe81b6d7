// What is recorded is played back: rows, what they mean, and where they end.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "enrich/process_table.h"
#include "recording/player.h"
#include "recording/recorder.h"

namespace waggle::recording {
namespace {

struct ExecRow {
  uint64_t when, cgroup;
  uint32_t pid, uid;
  char comm[16];
};

Column column(std::string name, Kind kind, uint32_t offset, uint32_t size) {
  Column made;
  made.name = std::move(name);
  made.kind = kind;
  made.offset = offset;
  made.size = size;
  return made;
}

Schema open_schema() {
  Schema schema{"open", "files opened", Shape::kStream, sizeof(ExecRow), 0, {}};
  schema.columns = {column("when", Kind::kTime, 0, 8), column("cgroup", Kind::kCgroup, 8, 8),
                    column("pid", Kind::kPid, 16, 4), column("uid", Kind::kUid, 20, 4),
                    column("comm", Kind::kComm, 24, 16)};
  schema.columns[1].is_aside = true;
  return schema;
}

Schema table_schema() {
  Schema schema{"block", "", Shape::kTable, 8 + sizeof(Histogram), 8, {}};
  schema.columns = {column("device", Kind::kDevice, 0, 4), column("latency", Kind::kHistogram, 8, sizeof(Histogram))};
  schema.columns[0].role = Role::kKey;
  schema.columns[1].role = Role::kValue;
  return schema;
}

template <typename T>
Row row_of(const T &value) {
  return std::as_bytes(std::span(&value, 1));
}

std::string read_all(int fd) {
  std::string bytes(static_cast<size_t>(lseek(fd, 0, SEEK_END)), '\0');
  EXPECT_EQ(pread(fd, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  return bytes;
}

// 100 rows, a tick after each tenth, and the end.
std::string make_recording(bool with_end = true) {
  Fd file(memfd_create("recording", MFD_CLOEXEC));
  Host host;
  Recorder recorder = *Recorder::begin(file.get(), host, {"db1", "6.1.0", "0.1.0"});
  Schema schema = open_schema(), table = table_schema();
  uint16_t open = recorder.add_stream(schema, true, true), block = recorder.add_stream(table, true);
  EXPECT_TRUE(recorder.tick(1000).has_value());
  for (uint32_t i = 0; i < 100; i++) {
    ExecRow row = {2000 + i, 1, 42 + i, 0, "fuzzy"};
    EXPECT_TRUE(recorder.row(open, row_of(row)).has_value());
    if (i % 10 != 9) continue;
    struct {
      uint64_t device = 0x00800001;
      Histogram latency;
    } changed;
    changed.latency.observe(i);
    EXPECT_TRUE(recorder.row(block, row_of(changed)).has_value());
    recorder.counts(open, {i + 3, 1, i + 1, 1});
    EXPECT_TRUE(recorder.tick(3000 + i).has_value());
  }
  EXPECT_TRUE(!with_end || recorder.end().has_value());
  return read_all(file.get());
}

struct Played {
  size_t rows = 0, groups = 0, ticks = 0;
  uint64_t last_pid = 0;
  std::string user;
  StreamCounts counts;
  bool was_cut = false;
  std::optional<Error> error;
};

Played play(std::string_view file) {
  Played played;
  Result<std::unique_ptr<Player>> player = Player::open(source_of(std::as_bytes(std::span(file))));
  if (!player) {
    played.error = player.error();
    return played;
  }
  Renderer renderer((*player)->host());
  while (true) {
    Result<std::optional<Player::Event>> event = (*player)->next();
    if (!event) played.error = event.error();
    if (!event || !*event) break;
    played.ticks += (*event)->what == Player::Event::What::kTick;
    if ((*event)->stream == nullptr) continue;
    const Schema &schema = (*event)->stream->schema;
    played.groups += schema.shape == Shape::kTable;
    if (schema.shape == Shape::kTable) continue;
    played.rows++;
    if (const Column *pid = schema.find("pid")) played.last_pid = natural(*pid, (*event)->row);
    played.user.clear();
    if (schema.find("uid") != nullptr) renderer.append_text(played.user, *parse_field(schema, "uid"), (*event)->row);
  }
  if (!(*player)->streams().empty()) played.counts = (*player)->streams()[0]->counts;
  played.was_cut = (*player)->was_cut();
  return played;
}

TEST(Recording, WhatIsRecordedIsPlayed) {
  std::string file = make_recording();
  Played played = play(file);
  EXPECT_FALSE(played.error.has_value()) << played.error->text();
  EXPECT_EQ(played.rows, 100u);
  EXPECT_EQ(played.groups, 10u);
  EXPECT_EQ(played.ticks, 11u);
  EXPECT_EQ(played.last_pid, 141u);
  EXPECT_EQ(played.user, "root");
  EXPECT_EQ(played.counts.produced, 102u);
  EXPECT_EQ(played.counts.delivered, 100u);
  EXPECT_FALSE(played.was_cut);
}

TEST(Recording, SchemasComeBackAsTheyWere) {
  std::string file = make_recording();
  std::unique_ptr<Player> player = std::move(*Player::open(source_of(std::as_bytes(std::span(file)))));
  EXPECT_EQ(player->origin().host, "db1");
  EXPECT_EQ(player->origin().kernel, "6.1.0");
  ASSERT_EQ(player->streams().size(), 2u);
  EXPECT_TRUE(player->streams()[0]->without_stacks);
  EXPECT_FALSE(player->streams()[1]->without_stacks);
  Schema was[] = {open_schema(), table_schema()};
  for (size_t i = 0; i < 2; i++) {
    const Schema &is = player->streams()[i]->schema;
    EXPECT_EQ(is.name, was[i].name);
    EXPECT_EQ(is.shape, was[i].shape);
    EXPECT_EQ(is.row_bytes, was[i].row_bytes);
    EXPECT_EQ(is.key_bytes, was[i].key_bytes);
    ASSERT_EQ(is.columns.size(), was[i].columns.size());
    for (size_t j = 0; j < is.columns.size(); j++) {
      EXPECT_EQ(is.columns[j].name, was[i].columns[j].name);
      EXPECT_EQ(is.columns[j].kind, was[i].columns[j].kind);
      EXPECT_EQ(is.columns[j].role, was[i].columns[j].role);
      EXPECT_EQ(is.columns[j].offset, was[i].columns[j].offset);
      EXPECT_EQ(is.columns[j].size, was[i].columns[j].size);
      EXPECT_EQ(is.columns[j].is_aside, was[i].columns[j].is_aside);
    }
  }
}

// A recorder may be killed, and a disk be full, at any byte.
TEST(Recording, ACutFileIsReadToItsLastWholeBlock) {
  std::string file = make_recording();
  size_t whole = play(file).rows, last = 0;
  for (size_t bytes = 0; bytes < file.size(); bytes++) {
    Played played = play(std::string_view(file).substr(0, bytes));
    if (played.error) {
      // Nothing of it is whole: the header, or the block that declares the streams.
      EXPECT_EQ(last, 0u) << bytes;
      continue;
    }
    EXPECT_TRUE(played.was_cut) << bytes;
    EXPECT_GE(played.rows, last) << bytes;
    EXPECT_EQ(played.rows % 10, 0u) << bytes;
    last = played.rows;
  }
  EXPECT_EQ(last, whole);
  EXPECT_TRUE(play(make_recording(false)).was_cut);
}

TEST(Recording, ADamagedByteIsNoticed) {
  std::string file = make_recording();
  for (size_t at = 0; at < file.size(); at += 7) {
    // The last four bytes of the header are kept for later.
    if (at >= kMagic.size() + 4 && at < kMagic.size() + 8) continue;
    std::string damaged = file;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    Played played = play(damaged);
    EXPECT_TRUE(played.error.has_value() || played.was_cut) << at;
  }
}

TEST(Recording, OtherFilesAndVersionsAreRefused) {
  std::string newer = make_recording();
  newer[kMagic.size()] = 2;
  EXPECT_EQ(play(newer).error->code, ErrorCode::kUnsupported);
  EXPECT_EQ(play(newer).error->what, "the recording is of version 2");
  EXPECT_EQ(play("{\"when\":1}\n").error->what, "it is no recording");
  EXPECT_EQ(play("").error->what, "it is no recording");
  EXPECT_EQ(play(header()).error->what, "the recording is empty");
}

std::string file_of(std::initializer_list<std::pair<Tag, FieldWriter>> items) {
  std::string bytes;
  for (const auto &[tag, fields] : items) {
    auto length = static_cast<uint32_t>(fields.bytes().size());
    bytes += static_cast<char>(tag);
    bytes.append(reinterpret_cast<const char *>(&length), sizeof(length));
    bytes += fields.bytes();
  }
  return header() + block_of(bytes);
}

FieldWriter stream_item(uint32_t row_bytes, std::string_view kind, uint32_t offset, uint32_t size, uint16_t id = 0) {
  FieldWriter fields;
  fields.number(id).number(uint8_t{1}).number(uint8_t{0}).text("s").text("").number(row_bytes).number(uint32_t{0});
  fields.number(uint16_t{1}).text("c").text("").text(kind).number(uint8_t{0}).number(uint8_t{0}).number(uint8_t{0});
  fields.number(offset).number(size);
  return fields;
}

TEST(Recording, WhatCannotBeIsRefused) {
  FieldWriter row, long_row, early, late_stream = stream_item(8, "number", 0, 8, 1);
  row.number(uint16_t{0}).number(uint64_t{7});
  long_row.number(uint16_t{0}).number(uint64_t{7}).number(uint8_t{7});
  early.number(uint16_t{0});
  FieldWriter no_stream;
  no_stream.number(uint16_t{9});
  struct Case {
    std::string file, why;
  };
  const Case kCases[] = {
      {file_of({{Tag::kStream, stream_item(8, "number", 0, 3)}}), "column 'c' of 's' does not fit"},
      {file_of({{Tag::kStream, stream_item(8, "number", 4, 8)}}), "column 'c' of 's' does not fit"},
      {file_of({{Tag::kStream, stream_item(8, "number", 0xfffffffc, 8)}}), "column 'c' of 's' does not fit"},
      {file_of({{Tag::kStream, stream_item(8, "ip", 0, 8)}}), "column 'c' of 's' does not fit"},
      {file_of({{Tag::kStream, stream_item(400, "histogram", 0, 400)}}), "column 'c' of 's' does not fit"},
      {file_of({{Tag::kStream, stream_item(1 << 20, "number", 0, 8)}}), "the rows of 's' have no such size"},
      {file_of({{Tag::kStream, stream_item(8, "number", 0, 8, 3)}}), "stream 3 is out of order"},
      {file_of({{Tag::kStream, early}}), "a schema ends too early"},
      {file_of({{Tag::kRow, row}}), "there is no stream 0"},
      {file_of({{Tag::kStream, stream_item(8, "number", 0, 8)}, {Tag::kRow, long_row}}), "a row of 's' is of 9 bytes"},
      {file_of({{Tag::kStream, stream_item(8, "number", 0, 8)}, {Tag::kRow, row}, {Tag::kStream, late_stream}}),
       "a stream is declared after the first row"},
      {file_of({{Tag::kCounts, no_stream}}), "there is no stream 9"},
      {file_of({{Tag::kTick, FieldWriter()}}), "an item ends too early"},
      {file_of({{Tag::kProcess, FieldWriter()}}), "a process has no id"},
  };
  for (const Case &each : kCases) {
    Played played = play(each.file);
    ASSERT_TRUE(played.error.has_value()) << each.why;
    EXPECT_EQ(played.error->why, each.why);
  }
  // One that a newer waggle added.
  EXPECT_EQ(
      play(file_of({{Tag::kStream, stream_item(8, "number", 0, 8)}, {static_cast<Tag>(99), row}, {Tag::kRow, row}}))
          .error,
      std::nullopt);
  Played unknown = play(file_of({{Tag::kStream, stream_item(8, "wavelength", 0, 8)}}));
  EXPECT_EQ(unknown.error->code, ErrorCode::kUnsupported);
}

TEST(Recording, ProcessesAndNamesAreThoseOfTheRecordingHost) {
  FieldWriter process, name, cgroup;
  process.number(int32_t{77}).number(int32_t{1}).number(uint32_t{4242}).number(uint64_t{5}).number(uint64_t{9});
  process.text("worker").text("/usr/bin/worker").text(std::string_view("worker\0-x\0", 10)).text("/docker/x");
  name.text("uid").number(uint64_t{4242}).text("ada");
  cgroup.number(uint64_t{9}).text("/system.slice/worker.service");
  FieldWriter row;
  row.number(uint16_t{0}).number(uint32_t{77});
  std::string file = file_of({{Tag::kStream, stream_item(4, "pid", 0, 4)},
                              {Tag::kProcess, process},
                              {Tag::kName, name},
                              {Tag::kCgroup, cgroup},
                              {Tag::kRow, row}});
  std::unique_ptr<Player> player = std::move(*Player::open(source_of(std::as_bytes(std::span(file)))));
  std::optional<Player::Event> event = *player->next();
  ASSERT_TRUE(event.has_value());
  Renderer renderer(player->host());
  auto followed = [&](const char *field) {
    std::string text;
    renderer.append_text(text, *parse_field(event->stream->schema, field), event->row);
    return text;
  };
  EXPECT_EQ(followed("c.cmdline"), "worker -x");
  EXPECT_EQ(followed("c.user"), "ada");
  EXPECT_EQ(followed("c.cgroup"), "/docker/x");
  // Nothing is asked of the host that this runs on: its PID 1 is another.
  EXPECT_EQ(followed("c.ancestors"), "");
}

// Seeds that are refused at once would seed nothing; and they are recordings that
// another program wrote by docs/formats/recording.md.
TEST(Recording, TheSeedsOfTheFuzzerArePlayed) {
  for (const char *name : {"file", "items", "process", "stream"}) {
    std::string bytes = *read_file(std::string(WAGGLE_SOURCE_DIR "/tests/fuzz/recording/") + name);
    Played played = play(bytes.starts_with(kMagic) ? bytes : header() + block_of(bytes));
    EXPECT_FALSE(played.error.has_value()) << name << ": " << played.error->text();
  }
}

}  // namespace
}  // namespace waggle::recording
