#include "recording/player.h"

#include <fmt/format.h>

#include "base/check.h"
#include "enrich/process_table.h"

namespace waggle::recording {
namespace {

constexpr size_t kTextBytesMost = 4096;
constexpr size_t kNameBytesMost = 128;
constexpr size_t kStreamsMost = 1024, kColumnsMost = 512;
constexpr uint32_t kRowBytesMost = 64 << 10;

tl::unexpected<Error> impossible(std::string why) {
  return fail(ErrorCode::kInvalid, "the recording says what cannot be", std::move(why));
}

// Whether a column is what its kind's readers (schema/batch.h) expect.
bool size_suits(const Column &column) {
  if (column.is_integer()) return column.size == 1 || column.size == 2 || column.size == 4 || column.size == 8;
  switch (column.kind) {
    case Kind::kIp:
      return column.size == 16;
    case Kind::kStack:
      return column.size >= 8;
    case Kind::kHistogram:
      return column.size == sizeof(Histogram);
    default:
      return column.size > 0;
  }
}

Result<Column> read_column(FieldReader &fields, const Schema &schema) {
  Column column;
  column.name = fields.text(kNameBytesMost);
  column.help = fields.text(kTextBytesMost);
  std::string_view kind = fields.text(kNameBytesMost);
  auto role = fields.number<uint8_t>();
  column.is_signed = fields.number<uint8_t>() != 0;
  column.is_gauge = fields.number<uint8_t>() != 0;
  column.offset = fields.number<uint32_t>();
  column.size = fields.number<uint32_t>();
  if (!fields.ok()) return impossible("a schema ends too early");
  std::optional<Kind> known = kind_of_name(kind);
  if (!known)
    return fail(ErrorCode::kUnsupported,
                fmt::format("column '{}' is of a kind that this waggle does not know: '{}'", column.name, kind), {},
                "read it with the waggle that made it, or a newer one");
  column.kind = *known;
  if (role > static_cast<uint8_t>(Role::kValue)) return impossible(fmt::format("column '{}' has no role", column.name));
  column.role = static_cast<Role>(role);
  bool in_key = column.role != Role::kValue;
  uint64_t end = uint64_t{column.offset} + column.size;
  uint64_t begin_least = schema.shape == Shape::kTable && !in_key ? schema.key_bytes : 0;
  uint64_t end_most = schema.shape == Shape::kTable && in_key ? schema.key_bytes : schema.row_bytes;
  if (column.name.empty() || !size_suits(column) || column.offset < begin_least || end > end_most)
    return impossible(fmt::format("column '{}' of '{}' does not fit", column.name, schema.name));
  return column;
}

}  // namespace

Player::Player(BlockReader blocks) : blocks_(std::move(blocks)), host_(std::make_unique<Host>(answers_)) {}

Result<std::unique_ptr<Player>> Player::open(Source source) {
  BlockReader blocks = TRY(BlockReader::open(std::move(source)));
  std::unique_ptr<Player> player(new Player(std::move(blocks)));
  player->first_ = TRY(player->read_event());
  player->began_ = true;
  if (player->streams_.empty())
    return fail(ErrorCode::kInvalid, "the recording is empty",
                "its writer was killed before the first block was whole");
  return player;
}

Result<std::optional<Player::Event>> Player::next() {
  if (first_) return std::exchange(first_, std::nullopt);
  return read_event();
}

Result<std::optional<Player::Event>> Player::read_event() {
  while (std::optional<Item> item = TRY(blocks_.next()))
    if (std::optional<Event> event = TRY(take(*item))) return event;
  return std::optional<Event>();
}

Result<std::optional<Player::Event>> Player::take(const Item &item) {
  FieldReader fields(item.bytes);
  std::optional<Event> event;
  switch (item.tag) {
    case Tag::kHost:
      origin_.host = fields.text(kTextBytesMost);
      origin_.kernel = fields.text(kTextBytesMost);
      origin_.waggle = fields.text(kTextBytesMost);
      break;
    case Tag::kStream:
      TRY(take_stream(fields));
      break;
    case Tag::kRow:
      event = TRY(take_row(fields));
      break;
    case Tag::kClock: {
      auto monotonic_ns = fields.number<uint64_t>();
      answers_.wall_minus_monotonic_ns = fields.number<int64_t>();
      // Either is some 10^18 for as long as calendars have four digits.
      constexpr int64_t kMost = INT64_MAX / 4;
      if (monotonic_ns > kMost || answers_.wall_minus_monotonic_ns > kMost || answers_.wall_minus_monotonic_ns < 0)
        return impossible("its clock is wrong");
      break;
    }
    case Tag::kTick:
      event = Event{Event::What::kTick, nullptr, {}, fields.number<uint64_t>()};
      break;
    case Tag::kCounts: {
      auto id = fields.number<uint16_t>();
      StreamCounts counts;
      counts.produced = fields.number<uint64_t>();
      counts.filtered = fields.number<uint64_t>();
      counts.delivered = fields.number<uint64_t>();
      counts.lost = fields.number<uint64_t>();
      if (id >= streams_.size()) return impossible(fmt::format("there is no stream {}", id));
      streams_[id]->counts = counts;
      break;
    }
    case Tag::kName:
      TRY(take_name(fields));
      break;
    case Tag::kMount: {
      auto device = fields.number<uint32_t>();
      answers_.mount_points[device] = fields.text(kTextBytesMost);
      told_++;
      break;
    }
    case Tag::kKernelSymbol: {
      KernelSymbolTexts &texts = answers_.kernel_symbols[fields.number<uint64_t>()];
      texts.name = fields.text(kTextBytesMost);
      texts.with_offset = fields.text(kTextBytesMost);
      told_++;
      break;
    }
    case Tag::kUserSymbol: {
      auto pid = fields.number<uint32_t>();
      auto address = fields.number<uint64_t>();
      bool is_return_address = fields.number<uint8_t>() != 0;
      answers_.user_symbols[{pid, address, is_return_address}] = fields.text(kTextBytesMost);
      told_++;
      break;
    }
    case Tag::kCgroup: {
      auto id = fields.number<uint64_t>();
      answers_.cgroup_paths[id] = fields.text(kTextBytesMost);
      told_++;
      break;
    }
    case Tag::kProcess:
      TRY(take_process(fields));
      break;
    case Tag::kEnd:
      ended_ = true;
      break;
    default:
      // A newer waggle's, of the same version of the format: it can be done without.
      return event;
  }
  if (!fields.ok()) return impossible("an item ends too early");
  if (told_ > kToldMost) return impossible("it has more names than any host");
  return event;
}

Result<void> Player::take_stream(FieldReader &fields) {
  auto stream = std::make_unique<PlayedStream>();
  Schema &schema = stream->schema;
  auto id = fields.number<uint16_t>();
  stream->is_asked_for = fields.number<uint8_t>() != 0;
  schema.shape = fields.number<uint8_t>() != 0 ? Shape::kTable : Shape::kStream;
  schema.name = fields.text(kNameBytesMost);
  schema.summary = fields.text(kTextBytesMost);
  schema.row_bytes = fields.number<uint32_t>();
  schema.key_bytes = fields.number<uint32_t>();
  auto columns = fields.number<uint16_t>();
  if (!fields.ok()) return impossible("a schema ends too early");
  // Views hold pointers to schemas and are made before the first event.
  if (began_) return impossible("a stream is declared after the first row");
  if (id != streams_.size() || id >= kStreamsMost) return impossible(fmt::format("stream {} is out of order", id));
  if (schema.row_bytes > kRowBytesMost || schema.key_bytes > schema.row_bytes || columns == 0 || columns > kColumnsMost)
    return impossible(fmt::format("the rows of '{}' have no such size", schema.name));
  for (uint16_t i = 0; i < columns; i++) {
    Column column = TRY(read_column(fields, schema));
    if (schema.find(column.name) != nullptr) return impossible(fmt::format("column '{}' is there twice", column.name));
    schema.columns.push_back(std::move(column));
  }
  // Older recordings end before these.
  std::span<const std::byte> more = fields.rest();
  auto is_set = [&](size_t i) { return i < more.size() && more[i] != std::byte{0}; };
  for (size_t i = 0; i < schema.columns.size(); i++) schema.columns[i].is_aside = is_set(i);
  stream->without_stacks = is_set(schema.columns.size());
  streams_.push_back(std::move(stream));
  return {};
}

Result<std::optional<Player::Event>> Player::take_row(FieldReader &fields) {
  auto id = fields.number<uint16_t>();
  if (!fields.ok() || id >= streams_.size()) return impossible(fmt::format("there is no stream {}", id));
  PlayedStream &stream = *streams_[id];
  Row row = fields.rest();
  bool fits = stream.schema.shape == Shape::kTable ? row.size() == stream.schema.row_bytes
                                                   : row.size() <= stream.schema.row_bytes;
  if (!fits) return impossible(fmt::format("a row of '{}' is of {} bytes", stream.schema.name, row.size()));
  if (stream.schema.shape == Shape::kStream) host_->observe(stream.schema, row);
  return Event{Event::What::kRow, &stream, row, 0};
}

Result<void> Player::take_process(FieldReader &fields) {
  Process process;
  process.pid = fields.number<int32_t>();
  process.ppid = fields.number<int32_t>();
  process.uid = fields.number<uint32_t>();
  process.start_ns = fields.number<uint64_t>();
  process.cgroup_id = fields.number<uint64_t>();
  process.comm = fields.text(kTextBytesMost);
  Command command;
  command.exe = fields.text(kTextBytesMost);
  command.argv = fields.text(kTextBytesMost);
  std::string_view path = fields.text(kTextBytesMost);
  if (!fields.ok() || process.pid <= 0) return impossible("a process has no id");
  process.command = std::make_shared<const Command>(std::move(command));
  process.placement = std::make_shared<const Placement>(Placement{std::string(path), parse_cgroup_path(path)});
  host_->add_process(std::move(process));
  told_++;
  return {};
}

Result<void> Player::take_name(FieldReader &fields) {
  std::string_view kind_name = fields.text(kNameBytesMost);
  auto value = fields.number<uint64_t>();
  std::string_view name = fields.text(kTextBytesMost);
  told_++;
  // A kind that this waggle does not know is in no stream of the recording.
  if (std::optional<Kind> kind = kind_of_name(kind_name)) answers_.names[{*kind, value}] = name;
  return {};
}

}  // namespace waggle::recording
