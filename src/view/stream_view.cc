// One line a row: a table for people, one JSON object or one CSV record for
// machines. This is the path a million rows a second take: no allocation a row.
// Only stacks are more than fits a line: people find them below the row.
// A snapshot is many rows at once, sorted, then as many again.

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "view/layout.h"
#include "view/view.h"

namespace waggle {
namespace {

// How one sensor's rows are written.
struct Line {
  const Schema *schema;
  std::vector<Field> fields;
  std::vector<Cell> cells;
  std::vector<std::string> json_keys;  // ready with punctuation
  std::optional<Field> stack;          // for people: its frames are lines of their own below the row
};

class StreamView : public View {
 public:
  StreamView(std::vector<Line> lines, const ViewOptions &options, Renderer &renderer, Output &output)
      : lines_(std::move(lines)), options_(options), renderer_(&renderer), output_(&output) {}

  void add(const Schema &schema, Row row) override {
    const Line &line = line_of(schema);
    if (options_.format == Format::kJson)
      add_json(line, row);
    else if (options_.format == Format::kCsv)
      add_csv(line, row);
    else
      add_for_people(line, row);
    shown_++;
    output_->written();
  }

  void tick(bool) override { output_->flush(); }
  uint64_t rows_shown() const override { return shown_; }

 protected:
  const Line &only_line() const { return lines_.front(); }
  const ViewOptions &options() const { return options_; }
  Renderer &renderer() { return *renderer_; }
  Output &output() { return *output_; }
  // The next line gets a header.
  void forget_head() { headed_ = nullptr; }

 private:
  const Line &line_of(const Schema &schema) const {
    for (const Line &line : lines_)
      if (line.schema == &schema) return line;
    CHECK(!"a row of a sensor that the view was not made for");
    return lines_.front();
  }

  void add_json(const Line &line, Row row) {
    std::string &out = output_->text();
    for (size_t i = 0; i < line.fields.size(); i++) {
      out += line.json_keys[i];
      renderer_->append_json(out, line.fields[i], row);
    }
    out += "}\n";
  }

  void add_csv(const Line &line, Row row) {
    std::string &out = output_->text();
    if (headed_ != &line)
      head(
          line, [&](std::string &to, size_t i) { append_csv(to, line.fields[i].name); }, ",");
    for (size_t i = 0; i < line.fields.size(); i++) {
      if (i > 0) out += ',';
      scratch_.clear();
      // Raw values, as in JSON, but for the quotes.
      renderer_->append_csv_value(scratch_, line.fields[i], row);
      append_csv(out, scratch_);
    }
    out += '\n';
  }

  void add_for_people(const Line &line, Row row) {
    std::string &out = output_->text();
    // A new header when another sensor speaks would be noise: with several
    // sensors each line names its own, and headers are left out.
    if (options_.name_sensor) {
      append_cell(out, line.schema->name, {name_width(), false});
    } else if (headed_ != &line) {
      if (output_->colors()) out += ansi::kBold;
      head(
          line, [&](std::string &to, size_t i) { append_cell(to, upper(line.fields[i].name), line.cells[i]); }, "");
      if (output_->colors()) {
        out.insert(out.size() - 1, ansi::kReset);
      }
    }
    for (size_t i = 0; i < line.fields.size(); i++) {
      scratch_.clear();
      renderer_->append_text(scratch_, line.fields[i], row);
      append_cell(out, scratch_, line.cells[i]);
    }
    while (!out.empty() && out.back() == ' ') out.pop_back();
    out += '\n';
    if (line.stack) add_frames(*line.stack, row);
  }

  void add_frames(const Field &stack, Row row) {
    std::string &out = output_->text();
    for (const std::string &frame : renderer_->frames(stack, row)) {
      if (frame.ends_with("_[k]") ? !options_.kernel_frames : !options_.user_frames) continue;
      out += "                 ";
      append_printable(out, frame);
      out += '\n';
    }
  }

  template <typename AppendName>
  void head(const Line &line, AppendName append_name, std::string_view separator) {
    std::string &out = output_->text();
    for (size_t i = 0; i < line.fields.size(); i++) {
      if (i > 0) out += separator;
      append_name(out, i);
    }
    while (!out.empty() && out.back() == ' ') out.pop_back();
    out += '\n';
    headed_ = &line;
  }

  int name_width() const {
    size_t width = 0;
    for (const Line &line : lines_) width = std::max(width, line.schema->name.size());
    return static_cast<int>(width);
  }

  std::vector<Line> lines_;
  ViewOptions options_;
  Renderer *renderer_;
  Output *output_;
  const Line *headed_ = nullptr;
  std::string scratch_;
  uint64_t shown_ = 0;
};

class SnapshotView : public StreamView {
 public:
  // sort: null keeps the kernel's order
  SnapshotView(std::vector<Line> lines, std::optional<Field> sort, const ViewOptions &options, Renderer &renderer,
               Output &output)
      : StreamView(std::move(lines), options, renderer, output), sort_(std::move(sort)) {}

  void add(const Schema &, Row row) override { rows_.emplace_back(row.begin(), row.end()); }

  void tick(bool) override {
    if (sort_) sort_rows();
    if (options().format == Format::kPeople) {
      if (intervals_ > 0) output().text() += '\n';
      if (options().timestamps) output().text() += clock_now() + "\n";
      forget_head();
    }
    size_t shown = options().top == 0 ? rows_.size() : std::min(options().top, rows_.size());
    for (size_t i = 0; i < shown; i++) StreamView::add(*only_line().schema, rows_[i]);
    if (shown < rows_.size() && options().format == Format::kPeople)
      fmt::format_to(std::back_inserter(output().text()), "… and {} more (--top 0 shows all)\n", rows_.size() - shown);
    rows_.clear();
    intervals_++;
    output().flush();
  }

  uint64_t rows_shown() const override { return intervals_; }

 private:
  // Sizes and durations largest first, everything else rising.
  void sort_rows() {
    const Column &column = *sort_->column;
    Nature nature = kind_info(column.kind).nature;
    bool falls = nature == Nature::kAmount || nature == Nature::kExtent;
    bool is_number = column.is_integer() && sort_->follow == Follow::kNothing;
    std::vector<std::pair<std::string, size_t>> keys;
    for (size_t i = 0; i < rows_.size(); i++) {
      std::string &key = keys.emplace_back(std::string(), i).first;
      if (!is_number) {
        renderer().append_text(key, *sort_, rows_[i]);
        continue;
      }
      // Bytes that compare as the number does.
      uint64_t value = natural(column, rows_[i]) ^ (column.is_signed ? uint64_t{1} << 63 : 0);
      if (falls) value = ~value;
      for (int shift = 56; shift >= 0; shift -= 8) key += static_cast<char>(value >> shift);
    }
    std::sort(keys.begin(), keys.end());
    std::vector<std::vector<std::byte>> sorted;
    sorted.reserve(keys.size());
    for (const auto &[key, index] : keys) sorted.push_back(std::move(rows_[index]));
    rows_ = std::move(sorted);
  }

  std::optional<Field> sort_;
  std::vector<std::vector<std::byte>> rows_;
  uint64_t intervals_ = 0;
};

// What a reader looks for first: who has the most bytes.
std::optional<Field> default_sort(const Schema &schema, const ViewOptions &options) {
  if (options.format != Format::kPeople) return std::nullopt;
  for (const Field &field : all_fields(schema))
    if (field.column->kind == Kind::kBytes) return field;
  return std::nullopt;
}

Result<Line> make_line(const Schema &schema, const ViewOptions &options) {
  Line line;
  line.schema = &schema;
  line.fields = options.format == Format::kPeople ? console_fields(schema) : all_fields(schema);
  if (!options.columns.empty()) line.fields = TRY(parse_fields(schema, options.columns, std::move(line.fields)));
  auto is_stack = [](const Field &field) { return field.column->kind == Kind::kStack; };
  auto stack = std::find_if(line.fields.begin(), line.fields.end(), is_stack);
  if (options.format == Format::kPeople && stack != line.fields.end()) {
    line.stack = *stack;
    std::erase_if(line.fields, is_stack);
  }
  for (size_t i = 0; i < line.fields.size(); i++) {
    line.cells.push_back(cell_of(line.fields[i]));
    std::string key = i == 0 ? "{" : ",";
    if (i == 0 && options.name_sensor) {
      key += "\"sensor\":";
      append_json_string(key, schema.name);
      key += ',';
    }
    append_json_string(key, line.fields[i].name);
    key += ':';
    line.json_keys.push_back(std::move(key));
  }
  if (!line.cells.empty()) line.cells.back() = {0, false};
  return line;
}

}  // namespace

Result<std::unique_ptr<View>> make_stream_view(const std::vector<const Schema *> &schemas, const ViewOptions &options,
                                               Renderer &renderer, Output &output) {
  std::vector<Line> lines;
  lines.reserve(schemas.size());
  for (const Schema *schema : schemas) lines.push_back(TRY(make_line(*schema, options)));
  return std::make_unique<StreamView>(std::move(lines), options, renderer, output);
}

Result<std::unique_ptr<View>> make_snapshot_view(const Schema &schema, const ViewOptions &options, Renderer &renderer,
                                                 Output &output) {
  std::vector<Line> lines;
  lines.push_back(TRY(make_line(schema, options)));
  std::optional<Field> sort = default_sort(schema, options);
  if (!options.sort.empty()) sort = TRY(parse_field(schema, options.sort));
  return std::make_unique<SnapshotView>(std::move(lines), std::move(sort), options, renderer, output);
}

}  // namespace waggle
