#include "script/run/actions.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>

#include "base/check.h"
#include "kernel/features.h"
#include "script/output/time_text.h"
#include "script/output/value.h"
#include "script/run/attach.h"
#include "script/run/host_resolver.h"

namespace waggle::script {
namespace {

constexpr size_t kHeaderBytes = 8;
constexpr std::string_view kTimeFormat = "%H:%M:%S\n";

uint64_t word_at(std::span<const std::byte> row, size_t at) {
  uint64_t word = 0;
  if (at + sizeof(word) <= row.size()) std::memcpy(&word, row.data() + at, sizeof(word));
  return word;
}

// What a command of sh(1) prints, stderr is ours.
std::string output_of(const std::string &command) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return {};
  Fd reader(ends[0]), writer(ends[1]);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, writer.get(), STDOUT_FILENO);
  // waggle blocks the signals that it polls for.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, defaults;
  sigemptyset(&none);
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  char shell[] = "sh", option[] = "-c";
  std::string words = command;
  char *arguments[] = {shell, option, words.data(), nullptr};
  pid_t pid = 0;
  int error = posix_spawn(&pid, "/bin/sh", &files, &attributes, arguments, environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  writer.reset();
  std::string text;
  if (error != 0) return text;
  char piece[4096];
  for (ssize_t got = 0; (got = read(reader.get(), piece, sizeof(piece))) != 0;) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) break;
    text.append(piece, static_cast<size_t>(got));
  }
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return text;
}

}  // namespace

Place place_of(const Sources &sources, const Location &at) {
  const Source &source = sources.at(at.source);
  LineColumn begin = source.place(at.begin), end = source.place(at.end);
  return {source.name, begin.line, begin.column, end.line, end.column, std::string(source.line(begin.line))};
}

void Actions::perform(std::span<const std::byte> record) {
  was_slow_ = false;
  if (has_exited_ || record.size() < kHeaderBytes) return;
  uint32_t number = 0;
  std::memcpy(&number, record.data(), sizeof(number));
  if (number >= parts_.script.actions.size()) return;
  const Action &action = parts_.script.actions[number];
  std::span<const std::byte> row = record.subspan(kHeaderBytes);
  if (action.kind != Action::Kind::kRuntimeError && action.row.is(TypeKind::kTuple) && row.size() < action.row.bytes())
    return;
  perform(action, row);
}

void Actions::perform(const Action &action, std::span<const std::byte> row) {
  using Kind = Action::Kind;
  Output &output = parts_.output;
  note_processes(action.row, row);
  switch (action.kind) {
    case Kind::kExit:
      return exit(row);
    case Kind::kPrintf:
      return output.printf(text_of(action, row));
    case Kind::kErrorf:
      return output.errorf(place_of(parts_.sources, action.at), text_of(action, row));
    case Kind::kWarnf:
      return output.warnf(place_of(parts_.sources, action.at), text_of(action, row));
    case Kind::kDebugf:
      return debug(action, row);
    case Kind::kFail:
      output.errorf(place_of(parts_.sources, action.at), text_of(action, row));
      has_exited_ = true;
      exit_code_ = 1;
      return;
    case Kind::kPrintValue:
      return print_value(action, row);
    case Kind::kPrintMap:
      return print_map(action, row);
    case Kind::kPrintEntry:
      return print_entry(action, row);
    case Kind::kClear:
      return parts_.maps.clear(action.map);
    case Kind::kZero:
      return parts_.maps.zero(action.map);
    case Kind::kTime: {
      std::string text;
      append_time(text, action.text.empty() ? kTimeFormat : std::string_view(action.text), parts_.resolver.now_ns());
      return output.time(text);
    }
    case Kind::kCat:
      return cat(action, row);
    case Kind::kSystem:
      return system(action, row);
    case Kind::kJoin:
      return join(action, row);
    case Kind::kRuntimeError: {
      RuntimeError error = action.error;
      error.code = static_cast<int64_t>(word_at(row, 0));
      return output.runtime_error(error);
    }
    case Kind::kUnwatch:
      return parts_.attachments.unwatch(word_at(row, 0));
  }
}

std::string Actions::text_of(const Action &action, std::span<const std::byte> row) {
  std::string text;
  CHECK(action.format.has_value());
  if (row.size() >= action.format->row().bytes()) action.format->append(text, row, parts_.resolver);
  return text;
}

// Stacks of a process are often printed when it has ended.
void Actions::note_processes(const Type &row_type, std::span<const std::byte> row) {
  if (!row_type.is(TypeKind::kTuple)) return;
  for (const Field &field : row_type.fields())
    if (field.type.is(TypeKind::kUserStack) || field.type.is(TypeKind::kUserSymbol))
      if (auto pid = static_cast<uint32_t>(word_at(row, field.offset + sizeof(uint64_t))); pid != 0)
        parts_.resolver.note(pid);
}

void Actions::exit(std::span<const std::byte> row) {
  has_exited_ = true;
  exit_code_ = static_cast<int>(word_at(row, 0));
}

void Actions::print_value(const Action &action, std::span<const std::byte> row) {
  const std::vector<Field> &fields = action.row.fields();
  CHECK(!fields.empty());
  const Field &field = fields.front();
  parts_.output.value(field.type, row.subspan(field.offset), parts_.resolver);
}

void Actions::print_map(const Action &action, std::span<const std::byte> row) {
  MapLimits limits{static_cast<uint32_t>(word_at(row, 0)), static_cast<uint32_t>(word_at(row, 8))};
  const ScriptMap &map = parts_.script.maps[action.map];
  parts_.output.map(map.shape, parts_.maps.entries(action.map), limits, parts_.resolver);
}

void Actions::print_entry(const Action &action, std::span<const std::byte> row) {
  const ScriptMap &map = parts_.script.maps[action.map];
  const std::vector<Field> &fields = action.row.fields();
  CHECK(!fields.empty());
  // The key, then top and div: each where the row's type has it.
  auto number = [&](size_t from_end) -> uint32_t {
    if (fields.size() < from_end + 1) return 0;
    return static_cast<uint32_t>(word_at(row, fields[fields.size() - from_end].offset));
  };
  MapLimits limits{number(2), number(1)};
  size_t bytes = map.shape.key.is(TypeKind::kNone) ? 0 : map.shape.key.bytes();
  std::vector<MapEntry> entries = parts_.maps.entry(action.map, row.subspan(fields.front().offset, bytes));
  parts_.output.map(map.shape, std::move(entries), limits, parts_.resolver);
}

void Actions::cat(const Action &action, std::span<const std::byte> row) {
  was_slow_ = true;
  std::string path = text_of(action, row);
  // Nobody may ever write to a pipe.
  Result<Fd> file = open_file(path, O_RDONLY | O_NONBLOCK);
  if (!file) {
    parts_.sink.error(fmt::format("ERROR: failed to open file '{}': {}\n", path, file.error().why));
    return;
  }
  std::string text(parts_.script.config.max_cat_bytes, '\0');
  size_t used = 0;
  while (used < text.size()) {
    ssize_t got = read(file->get(), text.data() + used, text.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    used += static_cast<size_t>(got);
  }
  text.resize(used);
  parts_.output.cat(text);
}

void Actions::system(const Action &action, std::span<const std::byte> row) {
  was_slow_ = true;
  // What the command itself writes to a terminal comes after what the script has said.
  parts_.sink.flush();
  parts_.output.system(output_of(text_of(action, row)));
}

void Actions::join(const Action &action, std::span<const std::byte> row) {
  uint64_t count = word_at(row, 0);
  std::vector<std::string_view> words;
  const std::vector<Field> &fields = action.row.fields();
  for (size_t i = 1; i < fields.size() && words.size() < count; i++) {
    std::span<const std::byte> bytes = row.subspan(fields[i].offset, fields[i].type.bytes());
    std::string_view text(reinterpret_cast<const char *>(bytes.data()), bytes.size());
    words.push_back(text.substr(0, text.find('\0')));
  }
  parts_.output.join(words, action.text);
}

// Into the kernel's trace, where bpf_trace_printk() writes.
void Actions::debug(const Action &action, std::span<const std::byte> row) {
  if (!trace_marker_) {
    const Result<Tracefs> &tracefs = Kernel::running().tracefs();
    Result<Fd> file = tracefs ? open_file(tracefs->path() + "/trace_marker", O_WRONLY) : Fd();
    trace_marker_ = file ? std::move(*file) : Fd();
  }
  std::string text = "bpf_trace_printk: " + text_of(action, row);
  if (trace_marker_->valid() && write(trace_marker_->get(), text.data(), text.size()) < 0) trace_marker_ = Fd();
}

}  // namespace waggle::script
