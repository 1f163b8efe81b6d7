// Stacks and what each weighs. For people: the heaviest ones, innermost frame
// first. Folded: one line a stack, outermost frame first, semicolons between, the
// weight at the end, as flame graph tools read it.
//
// A row of a stream weighs one, a row of a table what was added up under its
// stack: bytes where it has them, else the time of its histogram, else its count;
// --sort names another column. Folded, times are whole microseconds, the unit that
// flame graph tools expect of time off the CPU; JSON has them in nanoseconds.

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "base/quantity.h"
#include "base/text.h"
#include "view/layout.h"
#include "view/view.h"

namespace waggle {
namespace {

// Without a column it is the count.
struct Weight {
  std::string name = "count";
  const Column *column = nullptr;

  bool is_time() const {
    return column != nullptr && (column->kind == Kind::kHistogram || kind_info(column->kind).nature == Nature::kExtent);
  }
  void append(std::string &out, uint64_t value) const {
    if (is_time())
      append_duration(out, value);
    else if (column != nullptr && column->kind == Kind::kBytes)
      append_bytes(out, value);
    else
      out += fmt::format_int(value).c_str();
  }
};

bool can_weigh(const Column &column) {
  Nature nature = kind_info(column.kind).nature;
  return column.role != Role::kKey &&
         (nature == Nature::kAmount || nature == Nature::kExtent || column.kind == Kind::kHistogram);
}

Result<Weight> choose_weight(const Schema &schema, const std::string &wanted) {
  if (wanted == "count" && schema.find("count") == nullptr) return Weight{};
  if (!wanted.empty()) {
    std::string known = "count";
    for (const Column &column : schema.columns) {
      if (!can_weigh(column)) continue;
      if (column.name == wanted) return Weight{wanted, &column};
      if (column.name != "count") known += ", " + column.name;
    }
    return fail(ErrorCode::kMisuse, fmt::format("cannot weigh stacks by '{}'", wanted), {},
                fmt::format("sort by one of: {}", known));
  }
  if (schema.shape == Shape::kStream) return Weight{};
  for (Kind kind : {Kind::kBytes, Kind::kHistogram})
    for (const Column &column : schema.columns)
      if (column.kind == kind && can_weigh(column)) return Weight{column.name, &column};
  return Weight{};
}

// What counts the events of a table's row: its own count, else its histogram.
const Column *counter_of(const Schema &schema) {
  if (schema.shape == Shape::kStream) return nullptr;
  for (Kind kind : {Kind::kCount, Kind::kHistogram})
    for (const Column &column : schema.columns)
      if (column.kind == kind && column.role == Role::kValue) return &column;
  return nullptr;
}

class StackView : public View {
 public:
  StackView(const Schema &schema, Field stack, std::vector<Field> labels, Weight weight, const ViewOptions &options,
            Renderer &renderer, Output &output)
      : key_bytes_(schema.key_bytes),
        stack_(std::move(stack)),
        labels_(std::move(labels)),
        weight_(std::move(weight)),
        counter_(counter_of(schema)),
        options_(options),
        renderer_(&renderer),
        output_(&output) {}

  void add(const Schema &, Row row) override {
    Sum here = {weight_of(row), count_of(row)};
    if (weight_.column != nullptr && weight_.column->is_gauge) {
      std::string row_key(reinterpret_cast<const char *>(row.data()), std::min<size_t>(key_bytes_, row.size()));
      gauges_[std::move(row_key)] = {text_of(row), here};
    } else if (here.weight != 0 || here.count != 0) {
      add_sum(text_of(row), here);
    }
  }

  void tick(bool last) override {
    // Folded stacks are one answer, not one an interval.
    if (options_.folded && !last) return;
    for (const auto &[key, gauge] : gauges_)
      if (gauge.second.weight != 0) add_sum(gauge.first, gauge.second);
    std::vector<std::pair<std::string_view, Sum>> sorted(sums_.begin(), sums_.end());
    std::sort(sorted.begin(), sorted.end(), [](auto &a, auto &b) {
      return a.second.weight != b.second.weight ? a.second.weight > b.second.weight : a.first < b.first;
    });
    std::string &out = output_->text();
    if (options_.folded) {
      for (const auto &[stack, sum] : sorted) {
        fmt::format_to(std::back_inserter(out), "{} {}\n", stack, folded_value(sum.weight));
        output_->written();
      }
    } else if (options_.format == Format::kJson) {
      for (const auto &[stack, sum] : sorted) print_json(stack, sum);
    } else {
      if (options_.timestamps) out += clock_text(renderer_->host().wall_now_ns()) + "\n";
      size_t shown = options_.top == 0 ? sorted.size() : std::min(options_.top, sorted.size());
      for (size_t i = 0; i < shown; i++) print_for_people(sorted[i].first, sorted[i].second);
      print_total(sorted.size(), shown);
    }
    sums_.clear();
    total_ = {};
    intervals_++;
    output_->flush();
  }

  uint64_t rows_shown() const override { return intervals_; }

 private:
  struct Sum {
    uint64_t weight = 0, count = 0;
  };

  uint64_t count_of(Row row) const {
    if (counter_ == nullptr) return 1;
    return counter_->kind == Kind::kHistogram ? histogram(*counter_, row).count : natural(*counter_, row);
  }
  uint64_t weight_of(Row row) const {
    if (weight_.column == nullptr) return count_of(row);
    return weight_.column->kind == Kind::kHistogram ? histogram(*weight_.column, row).sum
                                                    : natural(*weight_.column, row);
  }
  uint64_t folded_value(uint64_t weight) const { return weight_.is_time() ? (weight + 500) / 1000 : weight; }

  void add_sum(const std::string &stack, Sum here) {
    for (Sum *sum : {&sums_[stack], &total_}) {
      sum->weight += here.weight;
      sum->count += here.count;
    }
  }

  // Labels, then frames from the outermost one in.
  std::string text_of(Row row) {
    std::string text;
    auto put = [&](std::string part) {
      // A semicolon in a demangled name would look like a frame's end.
      std::replace(part.begin(), part.end(), ';', ':');
      text += part;
      text += ';';
    };
    for (const Field &field : labels_) {
      std::string label;
      renderer_->append_text(label, field, row);
      put(std::move(label));
    }
    std::vector<std::string> frames = renderer_->frames(stack_, row);
    std::erase_if(frames, [&](const std::string &frame) {
      return frame.ends_with("_[k]") ? !options_.kernel_frames : !options_.user_frames;
    });
    for (size_t i = frames.size(); i-- > 0;) {
      // JSON has its own way to write what no terminal should see.
      std::string frame;
      if (options_.format == Format::kJson)
        frame = std::move(frames[i]);
      else
        append_printable(frame, frames[i]);
      put(std::move(frame));
    }
    if (!text.empty()) text.pop_back();
    return text;
  }

  void print_for_people(std::string_view stack, Sum sum) {
    std::string &out = output_->text();
    std::vector<std::string_view> parts = split(stack, ';');
    std::string head, weight;
    for (size_t i = 0; i < std::min(labels_.size(), parts.size()); i++)
      head += fmt::format("{}{}", i == 0 ? "" : " ", parts[i]);
    weight_.append(weight, sum.weight);
    double share = total_.weight == 0 ? 0 : static_cast<double>(sum.weight) / static_cast<double>(total_.weight);
    fmt::format_to(std::back_inserter(out), "{}{:>6.2f}%{} {:>6}  {}{}\n", output_->colors() ? ansi::kBold : "",
                   100.0 * share, output_->colors() ? ansi::kReset : "", weight, head,
                   weight_.column == nullptr ? "" : fmt::format("  ({} times)", sum.count));
    for (size_t i = parts.size(); i-- > labels_.size();)
      fmt::format_to(std::back_inserter(out), "                 {}\n", parts[i]);
    out += '\n';
  }

  void print_total(size_t stacks, size_t shown) {
    std::string &out = output_->text();
    if (weight_.column == nullptr) {
      fmt::format_to(std::back_inserter(out), "{} samples", total_.weight);
    } else {
      fmt::format_to(std::back_inserter(out), "{} ", weight_.name);
      weight_.append(out, total_.weight);
    }
    fmt::format_to(std::back_inserter(out), ", {} different stacks{}\n", stacks,
                   shown < stacks ? fmt::format(", the {} hottest shown", shown) : "");
  }

  void print_json(std::string_view stack, Sum sum) {
    std::string &out = output_->text();
    std::vector<std::string_view> parts = split(stack, ';');
    out += '{';
    for (size_t i = 0; i < std::min(labels_.size(), parts.size()); i++) {
      append_json_string(out, labels_[i].name);
      out += ':';
      append_json_string(out, parts[i]);
      out += ',';
    }
    out += "\"frames\":[";
    for (size_t i = parts.size(); i-- > labels_.size();) {
      append_json_string(out, parts[i]);
      if (i > labels_.size()) out += ',';
    }
    fmt::format_to(std::back_inserter(out), "],\"count\":{}", sum.count);
    if (weight_.column != nullptr && weight_.name != "count") {
      out += ',';
      append_json_string(out, weight_.name);
      fmt::format_to(std::back_inserter(out), ":{}", sum.weight);
    }
    out += "}\n";
    output_->written();
  }

  size_t key_bytes_;
  Field stack_;
  std::vector<Field> labels_;
  Weight weight_;
  const Column *counter_;  // null: each row counts one
  ViewOptions options_;
  Renderer *renderer_;
  Output *output_;
  std::unordered_map<std::string, Sum> sums_;
  // By the key of the table's row: what it was last, for values that fall and rise.
  std::unordered_map<std::string, std::pair<std::string, Sum>> gauges_;
  Sum total_;
  uint64_t intervals_ = 0;
};

}  // namespace

Result<std::unique_ptr<View>> make_stack_view(const Schema &schema, const ViewOptions &options, Renderer &renderer,
                                              Output &output) {
  const Column *stack = schema.first_of(Kind::kStack);
  if (stack == nullptr)
    return fail(ErrorCode::kMisuse, fmt::format("sensor '{}' has no stacks", schema.name), {},
                "waggle watch cpu      samples stacks");
  if (options.format == Format::kCsv && !options.folded)
    return fail(ErrorCode::kMisuse, "a CSV has no place for stacks", {}, "use --json, or --stack folded");
  std::vector<Field> labels;
  if (!options.by.empty())
    labels = TRY(parse_fields(schema, options.by, {}));
  else
    for (const Field &field : all_fields(schema))
      if (field.column->kind == Kind::kComm) labels.push_back(field);
  Weight weight = TRY(choose_weight(schema, options.sort));
  Field field = TRY(parse_field(schema, stack->name));
  return std::make_unique<StackView>(schema, std::move(field), std::move(labels), std::move(weight), options, renderer,
                                     output);
}

}  // namespace waggle
