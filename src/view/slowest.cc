#include "view/slowest.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "view/layout.h"

namespace waggle {
namespace {

// For people: frames beyond these are main() and what called it.
constexpr size_t kFramesMost = 16;

bool slower(uint64_t left, uint64_t right) {
  return left > right;
}

// What stands on a line: the console's columns, and the container, before a text
// that may be long.
std::vector<Field> line_fields(const Schema &schema, bool with_container) {
  std::vector<Field> fields;
  for (Field &field : console_fields(schema))
    if (field.column->kind != Kind::kStack) fields.push_back(std::move(field));
  const Column *cgroup = schema.first_of(Kind::kCgroup);
  if (with_container && cgroup != nullptr) {
    bool text_last = !fields.empty() && fields.back().column->is_text();
    fields.insert(text_last ? fields.end() - 1 : fields.end(), *parse_field(schema, cgroup->name + ".container"));
  }
  return fields;
}

}  // namespace

Result<Slowest> Slowest::make(const Schema &schema, size_t most, Renderer &renderer) {
  CHECK(most > 0);
  const Column *duration = schema.first_of(Kind::kDuration);
  if (duration == nullptr)
    return fail(ErrorCode::kMisuse, fmt::format("sensor '{}' has no durations, so none is the slowest", schema.name),
                {}, fmt::format("waggle list columns {}      shows what it has", schema.name));
  return Slowest(schema, *duration, most, renderer);
}

Slowest::Slowest(const Schema &schema, const Column &duration, size_t most, Renderer &renderer)
    : schema_(&schema), duration_(&duration), most_(most), renderer_(&renderer) {}

void Slowest::offer(Row row) {
  offered_++;
  uint64_t duration = natural(*duration_, row);
  if (duration < floor()) return;
  auto fastest_first = [](const Kept &a, const Kept &b) { return slower(a.duration, b.duration); };
  if (kept_.size() == most_) {
    std::pop_heap(kept_.begin(), kept_.end(), fastest_first);
    kept_.pop_back();
  }
  kept_.push_back({duration, {row.begin(), row.end()}});
  std::push_heap(kept_.begin(), kept_.end(), fastest_first);
  // Its frames are named when the interval is over; the process may be gone by then.
  const Column *pid = schema_->first_of(Kind::kPid);
  if (pid != nullptr && schema_->first_of(Kind::kStack) != nullptr)
    renderer_->host().note_mappings(static_cast<uint32_t>(natural(*pid, row)));
}

uint64_t Slowest::floor() const {
  return kept_.size() < most_ ? 0 : kept_.front().duration + 1;
}

void Slowest::print(Output &output, Format format) {
  std::sort(kept_.begin(), kept_.end(), [](const Kept &a, const Kept &b) { return slower(a.duration, b.duration); });
  if (format == Format::kJson)
    print_json(output);
  else if (!kept_.empty())
    print_for_people(output);
  kept_.clear();
  output.flush();
}

void Slowest::print_for_people(Output &output) {
  std::string &out = output.text();
  std::string container;
  if (const Column *cgroup = schema_->first_of(Kind::kCgroup)) {
    Field field = *parse_field(*schema_, cgroup->name + ".container");
    for (const Kept &kept : kept_) renderer_->append_text(container, field, kept.row);
  }
  std::vector<Field> fields = line_fields(*schema_, !container.empty());
  std::vector<Cell> cells;
  for (const Field &field : fields) cells.push_back(cell_of(field));
  cells.back() = {0, false};
  auto end_line = [&] {
    while (out.back() == ' ') out.pop_back();
    out += '\n';
  };

  fmt::format_to(std::back_inserter(out), "\n{}the slowest{}\n", output.colors() ? ansi::kBold : "",
                 output.colors() ? ansi::kReset : "");
  for (size_t i = 0; i < fields.size(); i++) append_cell(out, upper(fields[i].name), cells[i]);
  end_line();
  const Column *stack = schema_->first_of(Kind::kStack);
  std::string text;
  for (const Kept &kept : kept_) {
    for (size_t i = 0; i < fields.size(); i++) {
      text.clear();
      renderer_->append_text(text, fields[i], kept.row);
      append_cell(out, text, cells[i]);
    }
    end_line();
    if (stack == nullptr) continue;
    std::vector<std::string> frames = renderer_->frames(*parse_field(*schema_, stack->name), kept.row);
    for (size_t i = 0; i < std::min(frames.size(), kFramesMost); i++) {
      out += "                 ";
      append_printable(out, frames[i]);
      out += '\n';
    }
  }
}

void Slowest::print_json(Output &output) {
  std::string &out = output.text();
  std::vector<Field> fields = all_fields(*schema_);
  if (const Column *cgroup = schema_->first_of(Kind::kCgroup))
    fields.push_back(*parse_field(*schema_, cgroup->name + ".container"));
  fmt::format_to(std::back_inserter(out), R"({{"when":"{}","slowest":[)",
                 rfc3339_text(renderer_->host().wall_now_ns()));
  for (size_t at = 0; at < kept_.size(); at++) {
    out += at == 0 ? "{" : ",{";
    for (size_t i = 0; i < fields.size(); i++) {
      if (i > 0) out += ',';
      append_json_string(out, fields[i].name);
      out += ':';
      renderer_->append_json(out, fields[i], kept_[at].row);
    }
    out += '}';
  }
  out += "]}\n";
}

}  // namespace waggle
