#include "format/tracefs_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/text.h"

namespace waggle {
namespace {

tl::unexpected<Error> invalid(std::string why) {
  return fail(ErrorCode::kInvalid, "cannot read a tracepoint's format", std::move(why));
}

template <typename Number>
std::optional<Number> number(std::string_view text) {
  Number value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

bool is_name_letter(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9') ||
         letter == '_';
}

// Cuts "prefix" and the blanks behind it off the front.
bool cut(std::string_view &text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text = trim(text.substr(prefix.size()));
  return true;
}

// Cuts "[16]" off the end and notes it; what is in it may be a macro's name.
bool cut_array(std::string_view &text, TracepointField &field) {
  if (!text.ends_with(']')) return false;
  size_t open = text.rfind('[');
  if (open == std::string_view::npos) return false;
  field.is_array = true;
  field.length = number<uint32_t>(text.substr(open + 1, text.size() - open - 2)).value_or(0);
  text = trim(text.substr(0, open));
  return true;
}

// "const char * name", "char comm[16]", "__data_loc char[] name", "void (*func)(int)"
bool parse_declaration(std::string_view text, TracepointField &field) {
  if (cut(text, "__data_loc ")) field.place = TracepointField::Place::kFromRecord;
  if (cut(text, "__rel_loc ")) field.place = TracepointField::Place::kFromField;
  if (size_t pointer = text.find("(*"); pointer != std::string_view::npos && text.ends_with(')')) {
    size_t name_end = text.find(')', pointer);
    field.name = trim(text.substr(pointer + 2, name_end - pointer - 2));
    field.type = fmt::format("{}{}", text.substr(0, pointer + 2), text.substr(name_end));
    return !field.name.empty() && std::all_of(field.name.begin(), field.name.end(), is_name_letter);
  }
  cut_array(text, field);
  size_t name_begin = text.size();
  while (name_begin > 0 && is_name_letter(text[name_begin - 1])) name_begin--;
  field.name = text.substr(name_begin);
  text = trim(text.substr(0, name_begin));
  cut_array(text, field);
  field.type = text;
  return !field.name.empty() && !field.type.empty();
}

// "field:int common_pid;	offset:4;	size:4;	signed:1;"
Result<TracepointField> parse_field(std::string_view line) {
  TracepointField field;
  bool declared = false, has_offset = false, has_bytes = false;
  for (std::string_view part : split(line, ';')) {
    part = trim(part);
    if (cut(part, "field:")) declared = parse_declaration(part, field);
    if (cut(part, "offset:"))
      if (auto value = number<uint32_t>(part)) field.offset = *value, has_offset = true;
    if (cut(part, "size:"))
      if (auto value = number<uint32_t>(part)) field.bytes = *value, has_bytes = true;
    if (cut(part, "signed:")) field.is_signed = number<int>(part).value_or(0) != 0;
  }
  if (!declared || !has_offset || !has_bytes) return invalid(fmt::format("'{}' does not describe a field", trim(line)));
  field.is_common = field.name.starts_with("common_");
  // "char comm[TASK_COMM_LEN]" on old kernels: the size tells.
  if (field.is_array && field.length == 0 && field.place == TracepointField::Place::kHere && field.type == "char")
    field.length = field.bytes;
  return field;
}

}  // namespace

const TracepointField *TracepointFormat::field(std::string_view field_name) const {
  for (const TracepointField &each : fields)
    if (each.name == field_name) return &each;
  return nullptr;
}

Result<TracepointFormat> parse_tracepoint_format(std::string_view text) {
  TracepointFormat format;
  while (!text.empty()) {
    size_t end = text.find('\n');
    std::string_view line = trim(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.starts_with("field:")) {
      format.fields.push_back(TRY(parse_field(line)));
    } else if (cut(line, "name:")) {
      format.name = line;
    } else if (cut(line, "ID:")) {
      std::optional<uint32_t> id = number<uint32_t>(line);
      if (!id) return invalid(fmt::format("its id is '{}'", line));
      format.id = *id;
    } else if (cut(line, "print fmt:")) {
      format.print_format = line;
      break;  // the format may go on over lines of any look
    }
  }
  if (format.name.empty()) return invalid("it has no name");
  if (format.id == 0) return invalid(fmt::format("{} has no id", format.name));
  return format;
}

}  // namespace waggle
