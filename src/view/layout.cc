#include "view/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

namespace waggle {

Cell cell_of(const Field &field) {
  if (field.follow == Follow::kParent) return {7, true};
  if (field.follow == Follow::kComm || field.follow == Follow::kUser || field.follow == Follow::kName)
    return {16, false};
  if (field.follow == Follow::kContainer) return {12, false};
  if (field.follow == Follow::kUnit) return {24, false};
  if (field.follow != Follow::kNothing) return {32, false};
  auto at_least = [&](int width, bool right) {
    return Cell{std::max(width, static_cast<int>(display_width(field.name))), right};
  };
  switch (field.column->kind) {
    case Kind::kTime:
      return at_least(15, false);
    case Kind::kDuration:
    case Kind::kBytes:
    case Kind::kCount:
      return at_least(8, true);
    case Kind::kPid:
    case Kind::kTid:
      return at_least(7, true);
    case Kind::kComm:
      return at_least(15, false);
    case Kind::kUid:
    case Kind::kGid:
    case Kind::kErrno:
    case Kind::kSignal:
      return at_least(8, false);
    case Kind::kFd:
    case Kind::kCpu:
      return at_least(3, true);
    case Kind::kOpenFlags:
      return at_least(20, false);
    case Kind::kIp:
      return at_least(15, false);
    case Kind::kPort:
      return at_least(5, true);
    case Kind::kTcpState:
    case Kind::kDnsRcode:
      return at_least(11, false);
    case Kind::kTcpCaState:
      return at_least(8, false);
    case Kind::kResetReason:
      return at_least(20, false);
    case Kind::kDropReason:
    case Kind::kKernelAddress:
      return at_least(28, false);
    case Kind::kTaskState:
    case Kind::kBlockOp:
    case Kind::kDevice:
    case Kind::kFilesystem:
      return at_least(8, false);
    case Kind::kFileOp:
      return at_least(5, false);
    case Kind::kPath:
    case Kind::kArgv:
      return at_least(30, false);
    case Kind::kText:
      return at_least(std::min<int>(static_cast<int>(field.column->size), 24), false);
    default:
      return at_least(6, field.column->is_integer());
  }
}

size_t display_width(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

void append_cell(std::string &out, std::string_view text, Cell cell) {
  size_t width = display_width(text);
  size_t pad = static_cast<size_t>(cell.width) > width ? static_cast<size_t>(cell.width) - width : 0;
  if (cell.right) out.append(pad, ' ');
  out += text;
  if (!cell.right) out.append(pad, ' ');
  out += ' ';
}

std::string upper(std::string_view text) {
  std::string result(text);
  for (char &c : result)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return result;
}

std::string clock_text(int64_t wall_ns) {
  time_t now = wall_ns / 1'000'000'000;
  tm parts = {};
  localtime_r(&now, &parts);
  char text[16];
  strftime(text, sizeof(text), "%H:%M:%S", &parts);
  return text;
}

std::string clock_now() {
  return clock_text(int64_t{time(nullptr)} * 1'000'000'000);
}

std::string rfc3339_text(int64_t wall_ns) {
  time_t now = wall_ns / 1'000'000'000;
  tm parts = {};
  gmtime_r(&now, &parts);
  char text[24];
  strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
  return fmt::format("{}.{:09}Z", text, wall_ns % 1'000'000'000);
}

std::string slots_json(const Histogram &histogram) {
  std::string json = "{";
  for (size_t i = 0; i < Histogram::kSlots; i++) {
    if (histogram.slots[i] == 0) continue;
    if (json.size() > 1) json += ',';
    fmt::format_to(std::back_inserter(json), "\"{}\":{}", i == 0 ? 0 : uint64_t{1} << i, histogram.slots[i]);
  }
  return json + "}";
}

void append_csv(std::string &out, std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
    out += text;
    return;
  }
  out += '"';
  for (char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

}  // namespace waggle
