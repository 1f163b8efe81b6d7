#include "recording/recorder.h"

#include <fmt/format.h>

#include "base/check.h"
#include "enrich/process_table.h"

namespace waggle::recording {
namespace {

// A block is written when so much has gathered, or at the next tick.
constexpr size_t kBlockBytes = size_t{512} << 10;
// What may come before a row in its block: the names of its values, 254 frames of
// at most kTextBytesMost.
constexpr size_t kNamesBytesMost = size_t{2} << 20;
constexpr size_t kTextBytesMost = 4096;
// Frames, and what other columns of a row are called.
constexpr size_t kNamesOfRowMost = 1024;

std::string_view cut(std::string_view text) {
  return text.substr(0, kTextBytesMost);
}

}  // namespace

Recorder::Recorder(BlockWriter blocks, Host &host) : blocks_(std::move(blocks)), host_(&host), renderer_(host) {}

Result<Recorder> Recorder::begin(int fd, Host &host, const Origin &origin) {
  Recorder recorder(TRY(BlockWriter::begin(fd)), host);
  recorder.blocks_.add(Tag::kHost,
                       FieldWriter().text(cut(origin.host)).text(cut(origin.kernel)).text(cut(origin.waggle)));
  return recorder;
}

uint16_t Recorder::add_stream(const Schema &schema, bool is_asked_for, bool without_stacks) {
  auto id = static_cast<uint16_t>(streams_.size());
  FieldWriter fields;
  fields.number(id).number(uint8_t{is_asked_for}).number(uint8_t{schema.shape == Shape::kTable});
  fields.text(schema.name).text(cut(schema.summary)).number(schema.row_bytes).number(schema.key_bytes);
  fields.number(static_cast<uint16_t>(schema.columns.size()));
  for (const Column &column : schema.columns) {
    fields.text(column.name).text(cut(column.help)).text(kind_info(column.kind).name);
    fields.number(static_cast<uint8_t>(column.role)).number(uint8_t{column.is_signed}).number(uint8_t{column.is_gauge});
    fields.number(column.offset).number(column.size);
  }
  for (const Column &column : schema.columns) fields.number(uint8_t{column.is_aside});
  fields.number(uint8_t{without_stacks});
  blocks_.add(Tag::kStream, fields);

  Stream stream{&schema, {}, {}, {}, {}};
  for (const Field &field : all_fields(schema)) {
    const Column &column = *field.column;
    if (column.is_integer() && is_named_by_host(column.kind)) stream.named.push_back(field);
    if (column.kind == Kind::kDevice) stream.mounted.push_back(field);
    if (column.kind == Kind::kCgroup) stream.cgroups.push_back(field);
    if (column.kind == Kind::kStack) stream.stacks.push_back(field);
  }
  streams_.push_back(std::move(stream));
  return id;
}

Result<void> Recorder::add_processes() {
  for (const Process *process : host_->living_processes()) {
    TRY(make_room_for_names(8 * kTextBytesMost));
    if (process->cgroup_id != 0) tell_cgroup(process->cgroup_id);
    if (process->uid != Process::kUidUnknown) tell_user(process->uid);
    FieldWriter fields;
    fields.number(process->pid).number(process->ppid).number(process->uid);
    fields.number(process->start_ns).number(process->cgroup_id);
    fields.text(cut(process->comm)).text(cut(process->command->exe)).text(cut(process->command->argv));
    fields.text(cut(process->placement->path));
    tell(Tag::kProcess, fields);
  }
  return {};
}

void Recorder::tell(Tag tag, const FieldWriter &fields) {
  told_++;
  blocks_.add(tag, fields);
}

Result<void> Recorder::make_room_for_names(size_t bytes) {
  if (told_ > kToldMost - kNamesOfRowMost)
    return fail(ErrorCode::kExhausted, "the recording is full",
                fmt::format("it has {} names, frames and processes, the most that a reader takes", told_),
                "record for a shorter time, or fewer sensors");
  return make_room(bytes);
}

Result<void> Recorder::make_room(size_t bytes) {
  if (blocks_.pending_bytes() + bytes > kBlockBytesMost || blocks_.pending_bytes() >= kBlockBytes)
    return blocks_.flush();
  return {};
}

Result<void> Recorder::row(uint16_t id, Row row) {
  CHECK(id < streams_.size());
  const Stream &stream = streams_[id];
  TRY(make_room_for_names(kNamesBytesMost + row.size()));
  tell_names(stream, row);
  blocks_.add_row(id, row);
  return {};
}

void Recorder::tell_names(const Stream &stream, Row row) {
  for (const Field &field : stream.named) {
    auto value = static_cast<uint64_t>(integer(*field.column, row));
    if (!names_.emplace(field.column->kind, value).second) continue;
    std::string name;
    renderer_.append_text(name, field, row);
    tell(Tag::kName, FieldWriter().text(kind_info(field.column->kind).name).number(value).text(cut(name)));
  }
  for (const Field &field : stream.mounted) {
    auto device = static_cast<uint32_t>(natural(*field.column, row));
    if (!mounts_.insert(device).second) continue;
    tell(Tag::kMount, FieldWriter().number(device).text(cut(host_->mount_point(device))));
  }
  for (const Field &field : stream.cgroups) tell_cgroup(natural(*field.column, row));
  for (const Field &field : stream.stacks) tell_frames(field, row);
}

void Recorder::tell_cgroup(uint64_t cgroup_id) {
  if (!cgroups_.insert(cgroup_id).second) return;
  tell(Tag::kCgroup, FieldWriter().number(cgroup_id).text(cut(host_->cgroup_path(cgroup_id))));
}

void Recorder::tell_user(uint32_t uid) {
  if (!names_.emplace(Kind::kUid, uid).second) return;
  std::string_view name = host_->user_name(uid);
  tell(Tag::kName, FieldWriter()
                       .text(kind_info(Kind::kUid).name)
                       .number(uint64_t{uid})
                       .text(name.empty() ? std::to_string(uid) : cut(name)));
}

void Recorder::tell_frames(const Field &field, Row row) {
  Stack addresses = stack(*field.column, row);
  for (uint64_t address : addresses.kernel) {
    if (!kernel_frames_.insert(address).second) continue;
    tell(Tag::kKernelSymbol, FieldWriter()
                                 .number(address)
                                 .text(cut(host_->kernel_symbol(address, false)))
                                 .text(cut(host_->kernel_symbol(address, true))));
  }
  uint32_t pid = field.owner == nullptr ? 0 : static_cast<uint32_t>(natural(*field.owner, row));
  for (size_t i = 0; i < addresses.user.size(); i++) {
    bool is_return_address = i > 0;
    if (!user_frames_.emplace(pid, addresses.user[i], is_return_address).second) continue;
    tell(Tag::kUserSymbol, FieldWriter()
                               .number(pid)
                               .number(addresses.user[i])
                               .number(uint8_t{is_return_address})
                               .text(cut(host_->user_symbol(pid, addresses.user[i], is_return_address))));
  }
}

void Recorder::tell_clock(uint64_t now_ns) {
  clock_told_ns_ = now_ns;
  blocks_.add(Tag::kClock, FieldWriter().number(now_ns).number(host_->wall_minus_monotonic_ns()));
}

Result<void> Recorder::tick(uint64_t now_ns) {
  TRY(make_room(64));
  tell_clock(now_ns);
  blocks_.add(Tag::kTick, FieldWriter().number(now_ns));
  return blocks_.flush();
}

void Recorder::counts(uint16_t stream, const StreamCounts &counts) {
  blocks_.add(Tag::kCounts, FieldWriter()
                                .number(stream)
                                .number(counts.produced)
                                .number(counts.filtered)
                                .number(counts.delivered)
                                .number(counts.lost));
}

Result<void> Recorder::end() {
  TRY(make_room(64));
  blocks_.add(Tag::kEnd, std::string_view());
  return blocks_.flush();
}

}  // namespace waggle::recording
