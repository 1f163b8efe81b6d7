// Stacks and how often each was seen. For people: the hottest ones, innermost
// frame first. Folded: one line a stack, outermost frame first, semicolons
// between, a count at the end, as flame graph tools read it.

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "base/text.h"
#include "view/layout.h"
#include "view/view.h"

namespace waggle {
namespace {

class StackView : public View {
 public:
  StackView(Field stack, std::vector<Field> labels, const ViewOptions &options, Renderer &renderer, Output &output)
      : stack_(std::move(stack)),
        labels_(std::move(labels)),
        options_(options),
        renderer_(&renderer),
        output_(&output) {}

  void add(const Schema &, Row row) override {
    std::string key;
    for (const Field &field : labels_) {
      renderer_->append_text(key, field, row);
      key += ';';
    }
    std::vector<std::string> frames = renderer_->frames(stack_, row);
    for (size_t i = frames.size(); i-- > 0;) {
      // A semicolon in a demangled name would look like a frame's end.
      std::replace(frames[i].begin(), frames[i].end(), ';', ':');
      key += frames[i];
      key += ';';
    }
    key.pop_back();
    counts_[std::move(key)]++;
    samples_++;
  }

  void tick(bool last) override {
    // Folded stacks are one answer, not one an interval.
    if (options_.folded && !last) return;
    std::vector<std::pair<std::string_view, uint64_t>> sorted(counts_.begin(), counts_.end());
    std::sort(sorted.begin(), sorted.end(),
              [](auto &a, auto &b) { return a.second != b.second ? a.second > b.second : a.first < b.first; });
    std::string &out = output_->text();
    if (options_.folded) {
      for (const auto &[stack, count] : sorted) {
        fmt::format_to(std::back_inserter(out), "{} {}\n", stack, count);
        output_->written();
      }
    } else if (options_.format == Format::kJson) {
      for (const auto &[stack, count] : sorted) print_json(stack, count);
    } else {
      if (options_.timestamps) out += clock_text(renderer_->host().wall_now_ns()) + "\n";
      size_t shown = options_.top == 0 ? sorted.size() : std::min(options_.top, sorted.size());
      for (size_t i = 0; i < shown; i++) print_for_people(sorted[i].first, sorted[i].second);
      fmt::format_to(std::back_inserter(out), "{} samples, {} different stacks{}\n", samples_, sorted.size(),
                     shown < sorted.size() ? fmt::format(", the {} hottest shown", shown) : "");
    }
    counts_.clear();
    samples_ = 0;
    intervals_++;
    output_->flush();
  }

  uint64_t rows_shown() const override { return intervals_; }

 private:
  void print_for_people(std::string_view stack, uint64_t count) {
    std::string &out = output_->text();
    std::vector<std::string_view> parts = split(stack, ';');
    std::string head;
    for (size_t i = 0; i < labels_.size(); i++) head += fmt::format("{}{}", i == 0 ? "" : " ", parts[i]);
    fmt::format_to(std::back_inserter(out), "{}{:>6.2f}%{} {:>6}  {}\n", output_->colors() ? ansi::kBold : "",
                   100.0 * static_cast<double>(count) / static_cast<double>(samples_),
                   output_->colors() ? ansi::kReset : "", count, head);
    for (size_t i = parts.size(); i-- > labels_.size();)
      fmt::format_to(std::back_inserter(out), "                 {}\n", parts[i]);
    out += '\n';
  }

  void print_json(std::string_view stack, uint64_t count) {
    std::string &out = output_->text();
    std::vector<std::string_view> parts = split(stack, ';');
    out += '{';
    for (size_t i = 0; i < labels_.size(); i++) {
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
    fmt::format_to(std::back_inserter(out), "],\"count\":{}}}\n", count);
    output_->written();
  }

  Field stack_;
  std::vector<Field> labels_;
  ViewOptions options_;
  Renderer *renderer_;
  Output *output_;
  std::unordered_map<std::string, uint64_t> counts_;
  uint64_t samples_ = 0, intervals_ = 0;
};

}  // namespace

Result<std::unique_ptr<View>> make_stack_view(const Schema &schema, const ViewOptions &options, Renderer &renderer,
                                              Output &output) {
  const Column *stack = schema.first_of(Kind::kStack);
  if (stack == nullptr)
    return fail(ErrorCode::kMisuse, fmt::format("sensor '{}' has no stacks", schema.name), {},
                "waggle watch cpu      samples stacks");
  std::vector<Field> labels;
  if (!options.by.empty())
    labels = TRY(parse_fields(schema, options.by, {}));
  else if (schema.find("comm") != nullptr)
    labels.push_back(TRY(parse_field(schema, "comm")));
  Field field = TRY(parse_field(schema, stack->name));
  return std::make_unique<StackView>(std::move(field), std::move(labels), options, renderer, output);
}

}  // namespace waggle
