#include "enrich/render.h"

#include <gtest/gtest.h>

#include <cstring>

namespace waggle {
namespace {

Schema schema_of(Kind kind, uint32_t size, bool is_signed = false) {
  Column column;
  column.name = "c";
  column.kind = kind;
  column.size = size;
  column.is_signed = is_signed;
  Schema schema{"s", "", Shape::kStream, size, 0, {}};
  schema.columns.push_back(std::move(column));
  return schema;
}

TEST(Render, ValuesByKind) {
  struct Case {
    Kind kind;
    int64_t value;
    const char *people, *json;
  };
  constexpr Case kCases[] = {
      {Kind::kDuration, 1'230'000, "1.23ms", "1230000"},
      {Kind::kBytes, 4096, "4.00KiB", "4096"},
      {Kind::kErrno, 2, "ENOENT", "2"},
      {Kind::kErrno, 0, "-", "0"},
      {Kind::kSignal, 9, "SIGKILL", "9"},
      {Kind::kSignal, 0, "-", "0"},
      {Kind::kPid, 4242, "4242", "4242"},
      {Kind::kOpenFlags, 02000000, "O_RDONLY|O_CLOEXEC", "524288"},
      {Kind::kMode, 0644, "0644", "420"},
      {Kind::kFilesystem, 0xef53, "ext4", "\"ext4\""},
      {Kind::kFilesystem, 0x1234, "0x1234", "\"0x1234\""},
      {Kind::kFileOp, 1, "write", "\"write\""},
      {Kind::kFileOp, 9, "9", "\"9\""},
      {Kind::kTcpState, 1, "ESTABLISHED", "\"ESTABLISHED\""},
      {Kind::kNumber, -7, "-7", "-7"},
      {Kind::kFd, -1, "-1", "-1"},
  };
  Host host;
  Renderer renderer(host);
  for (const Case &c : kCases) {
    Schema schema = schema_of(c.kind, 8, true);
    std::vector<Field> fields = all_fields(schema);
    std::string people, json;
    Row row = std::as_bytes(std::span(&c.value, 1));
    renderer.append_text(people, fields[0], row);
    renderer.append_json(json, fields[0], row);
    EXPECT_EQ(people, c.people);
    EXPECT_EQ(json, c.json);
  }
}

TEST(Render, ArgumentsAsAShellTakesThem) {
  using namespace std::string_view_literals;
  struct Case {
    std::string_view bytes;
    const char *people, *json;
  };
  constexpr Case kCases[] = {
      {"ls\0-l\0"sv, "ls -l", R"(["ls","-l"])"},
      {"sh\0-c\0echo 'hi'\0"sv, R"(sh -c 'echo '\''hi'\''')", R"(["sh","-c","echo 'hi'"])"},
      {"a\0\0b\0"sv, "a '' b", R"(["a","","b"])"},
      {""sv, "", "[]"},
      {"\0"sv, "''", R"([""])"},
      {"\0\0"sv, "'' ''", R"(["",""])"},
      {"a\nb\0"sv, "'a\\x0ab'", R"(["a\nb"])"},
  };
  Host host;
  Renderer renderer(host);
  Schema schema = schema_of(Kind::kArgv, 4096);
  std::vector<Field> fields = all_fields(schema);
  for (const Case &c : kCases) {
    std::string people, json;
    Row row = std::as_bytes(std::span(c.bytes));
    renderer.append_text(people, fields[0], row);
    renderer.append_json(json, fields[0], row);
    EXPECT_EQ(people, c.people);
    EXPECT_EQ(json, c.json);
  }
}

TEST(Render, Addresses) {
  struct Case {
    uint8_t bytes[16];
    const char *text;
  };
  constexpr Case kCases[] = {
      {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1}, "10.0.0.1"},
      {{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, "2001:db8::1"},
      {{}, "::"},
  };
  for (const Case &c : kCases) {
    std::string out;
    append_ip(out, std::span<const uint8_t, 16>(c.bytes));
    EXPECT_EQ(out, c.text);
  }
}

TEST(Field, FollowsByKind) {
  Schema schema = schema_of(Kind::kPid, 4);
  schema.columns[0].name = "pid";
  struct Case {
    const char *text, *error, *fix;
  };
  constexpr Case kCases[] = {
      {"pid", "", ""},
      {"pid.cmdline", "", ""},
      {"pdi", "sensor 's' has no column 'pdi'", "did you mean 'pid'?"},
      {"pid.colour", "'pid' does not lead to 'colour'", nullptr},
  };
  for (const Case &c : kCases) {
    Result<Field> field = parse_field(schema, c.text);
    EXPECT_EQ(field ? "" : field.error().what, c.error);
    if (!field && c.fix != nullptr) {
      EXPECT_EQ(field.error().fix, c.fix);
    }
  }
  EXPECT_EQ(parse_fields(schema, "+pid.exe", all_fields(schema))->size(), 2u);
  EXPECT_EQ(parse_fields(schema, "pid.exe", all_fields(schema))->size(), 1u);
  EXPECT_FALSE(parse_fields(schema, "", all_fields(schema)));
}

}  // namespace
}  // namespace waggle
