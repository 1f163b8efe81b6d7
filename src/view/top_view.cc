// Groups and what was measured of them, largest first, once an interval: every
// table's plain view, and what --by makes of a stream. For machines each group is
// a line with the time of the interval's end in "when".

#include <fmt/format.h>

#include "base/quantity.h"
#include "base/text.h"
#include "view/aggregate.h"
#include "view/layout.h"
#include "view/view.h"

namespace waggle {
namespace {

// The parts of a distribution that a line shows.
struct Part {
  std::string_view suffix;
  uint64_t (*of)(const Histogram &);
};
constexpr Part kParts[] = {
    {"_avg", [](const Histogram &h) { return h.count == 0 ? 0 : h.sum / h.count; }},
    {"_p50", [](const Histogram &h) { return static_cast<uint64_t>(h.quantile(0.50)); }},
    {"_p99", [](const Histogram &h) { return static_cast<uint64_t>(h.quantile(0.99)); }},
    {"_max", [](const Histogram &h) { return h.most; }},
};

void append_amount(std::string &out, const Measure &measure, uint64_t value) {
  if (measure.column != nullptr && measure.column->kind == Kind::kBytes)
    append_bytes(out, value);
  else
    append_count(out, value);
}

class TopView : public View {
 public:
  TopView(Aggregate aggregate, size_t sort, const ViewOptions &options, Renderer &renderer, Output &output)
      : aggregate_(std::move(aggregate)), sort_(sort), options_(options), renderer_(&renderer), output_(&output) {}

  void add(const Schema &, Row row) override { aggregate_.add(row, *renderer_); }

  void tick(bool) override {
    if (options_.format == Format::kPeople)
      print_for_people();
    else
      print_for_machines();
    intervals_++;
    aggregate_.clear();
    output_->flush();
  }

  uint64_t rows_shown() const override { return intervals_; }

 private:
  void print_for_people() {
    std::string &out = output_->text();
    if (intervals_ > 0) out += '\n';
    if (options_.timestamps) out += clock_text(renderer_->host().wall_now_ns()) + "\n";
    std::vector<Cell> cells;
    if (output_->colors()) out += ansi::kBold;
    for (const Field &field : aggregate_.by()) {
      cells.push_back(cell_of(field));
      append_cell(out, upper(field.name), cells.back());
    }
    for (const Measure &measure : aggregate_.measures())
      for_each_heading(measure, [&](const std::string &name) { append_cell(out, upper(name), number_cell(name)); });
    while (out.back() == ' ') out.pop_back();
    if (output_->colors()) out += ansi::kReset;
    out += '\n';
    for (const Group *group : aggregate_.sorted_by(sort_, options_.top)) print_group(*group, cells);
    size_t hidden = aggregate_.groups() - std::min(aggregate_.groups(), options_.top == 0 ? SIZE_MAX : options_.top);
    if (hidden > 0) fmt::format_to(std::back_inserter(out), "… and {} more (--top 0 shows all)\n", hidden);
  }

  void print_group(const Group &group, const std::vector<Cell> &cells) {
    std::string &out = output_->text();
    for (size_t i = 0; i < group.labels.size(); i++) append_cell(out, group.labels[i], cells[i]);
    const std::vector<Measure> &measures = aggregate_.measures();
    for (size_t i = 0; i < measures.size(); i++) {
      size_t slot = aggregate_.slot(i);
      std::string text;
      if (!measures[i].is_distribution()) {
        append_amount(text, measures[i], group.sums[slot]);
        append_cell(out, text, number_cell(measures[i].name));
        continue;
      }
      for (const Part &part : kParts) {
        text.clear();
        append_measured(text, measures[i], part.of(group.distributions[slot]));
        append_cell(out, text, number_cell(heading(measures[i], part)));
      }
    }
    while (out.back() == ' ') out.pop_back();
    out += '\n';
  }

  void print_for_machines() {
    bool csv = options_.format == Format::kCsv;
    std::string &out = output_->text();
    if (csv && intervals_ == 0) print_csv_head();
    std::string when = rfc3339_text(renderer_->host().wall_now_ns());
    if (!csv) when = '"' + when + '"';
    for (const Group *group : aggregate_.sorted_by(sort_, options_.top)) {
      std::string_view separator = csv ? "" : "{";
      auto put = [&](std::string_view name, std::string_view value) {
        out += separator;
        separator = ",";
        if (!csv) {
          append_json_string(out, name);
          out += ':';
        }
        out += value;
      };
      put("when", when);
      for (size_t i = 0; i < aggregate_.by().size(); i++) {
        std::string quoted;
        if (csv) append_csv(quoted, group->csv_labels[i]);
        put(aggregate_.by()[i].name, csv ? quoted : group->json_labels[i]);
      }
      const std::vector<Measure> &measures = aggregate_.measures();
      for (size_t i = 0; i < measures.size(); i++) {
        size_t slot = aggregate_.slot(i);
        if (!measures[i].is_distribution()) {
          put(measures[i].name, std::to_string(group->sums[slot]));
          continue;
        }
        const Histogram &histogram = group->distributions[slot];
        for (const Part &part : kParts) put(heading(measures[i], part), std::to_string(part.of(histogram)));
        if (!csv) put(heading_base(measures[i]) + "_slots", slots_json(histogram));
      }
      out += csv ? "\n" : "}\n";
      output_->written();
    }
  }

  void print_csv_head() {
    std::string &out = output_->text();
    std::string_view separator = "";
    auto put = [&](std::string_view name) {
      out += separator;
      out += name;
      separator = ",";
    };
    put("when");
    for (const Field &field : aggregate_.by()) put(field.name);
    for (const Measure &measure : aggregate_.measures())
      for_each_heading(measure, [&](const std::string &name) { put(name); });
    out += '\n';
  }

  static std::string heading_base(const Measure &measure) { return measure.name; }
  static std::string heading(const Measure &measure, const Part &part) {
    return heading_base(measure) + std::string(part.suffix);
  }
  template <typename Visit>
  static void for_each_heading(const Measure &measure, Visit visit) {
    if (!measure.is_distribution()) {
      visit(measure.name);
      return;
    }
    for (const Part &part : kParts) visit(heading(measure, part));
  }
  static Cell number_cell(std::string_view name) { return {std::max(8, static_cast<int>(name.size())), true}; }

  Aggregate aggregate_;
  size_t sort_;
  ViewOptions options_;
  Renderer *renderer_;
  Output *output_;
  uint64_t intervals_ = 0;
};

// What a view groups by when nobody says: the key of a table, the names of a stream's event.
std::vector<Field> default_by(const Schema &schema) {
  std::vector<Field> by;
  for (const Field &field : all_fields(schema)) {
    bool names = field.column->kind == Kind::kComm || field.column->kind == Kind::kPid;
    if (schema.shape == Shape::kTable ? field.column->role == Role::kKey : names) by.push_back(field);
  }
  return by;
}

}  // namespace

Result<std::unique_ptr<View>> make_top_view(const Schema &schema, const ViewOptions &options, Renderer &renderer,
                                            Output &output) {
  std::vector<Field> by = default_by(schema);
  if (!options.by.empty()) by = TRY(parse_fields(schema, options.by, std::move(by)));
  Aggregate aggregate(schema, std::move(by), options.of);
  size_t sort = aggregate.default_measure();
  if (!options.sort.empty()) {
    std::optional<size_t> found = aggregate.find_measure(options.sort);
    if (!found) {
      std::string known;
      for (const Measure &measure : aggregate.measures()) known += (known.empty() ? "" : ", ") + measure.name;
      return fail(ErrorCode::kMisuse, fmt::format("cannot sort by '{}'", options.sort), {},
                  fmt::format("sort by one of: {}", known));
    }
    sort = *found;
  }
  return std::make_unique<TopView>(std::move(aggregate), sort, options, renderer, output);
}

}  // namespace waggle
