// waggle diff: what changed between two recordings of a table, and by how much.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/fd.h"
#include "base/quantity.h"
#include "base/text.h"
#include "cli/verb.h"
#include "cli/view_choice.h"
#include "recording/player.h"
#include "sensor/declaration.h"
#include "view/aggregate.h"
#include "view/comparison.h"
#include "view/layout.h"
#include "view/output.h"

namespace waggle {

std::function<int()> configure_diff(CLI::App &app);

namespace {

struct DiffArguments {
  std::string before, after, by, sensor;
  size_t top = 10;
  bool json = false;
};

constexpr size_t kBytesMost = size_t{1} << 30;
constexpr size_t kBarCells = 20;

// Sensors give a name one meaning; where two differ, one that groups gives way to
// one that measures, because a measure taken for a label would split every group.
std::map<std::string, ColumnMeaning> column_meanings() {
  std::map<std::string, ColumnMeaning> meanings;
  auto learn = [&](const std::optional<Schema> &schema) {
    if (!schema) return;
    for (const Column &column : schema->columns) {
      ColumnMeaning &meaning = meanings.try_emplace(column.name).first->second;
      if (kind_info(meaning.kind).nature == Nature::kIdentity) meaning = {column.kind, column.is_gauge};
    }
  };
  for (const SensorObject &object : sensor_objects()) {
    Declaration declaration = *declaration_of(object.name);
    learn(declaration.events);
    learn(declaration.table);
    learn(declaration.snapshot);
  }
  return meanings;
}

// The stream or table of a recording that has what is asked to group by: a table
// where it does, because it has all events.
Result<recording::PlayedStream *> choose_stream(recording::Player &player, const DiffArguments &arguments) {
  recording::PlayedStream *chosen = nullptr;
  std::string names;
  for (const std::unique_ptr<recording::PlayedStream> &stream : player.streams()) {
    const Schema &schema = stream->schema;
    if (!stream->is_asked_for || (!arguments.sensor.empty() && schema.name != arguments.sensor)) continue;
    if (chosen != nullptr && chosen->schema.name != schema.name)
      return fail(ErrorCode::kMisuse, fmt::format("it has rows of '{}' and of '{}'", chosen->schema.name, schema.name),
                  {}, "choose one with --sensor");
    bool is_table = schema.shape == Shape::kTable;
    if (is_table && !table_answers(&schema, arguments.by)) continue;
    if (chosen == nullptr || is_table) chosen = stream.get();
  }
  if (chosen != nullptr) return chosen;
  return fail(ErrorCode::kMisuse, fmt::format("it has nothing of sensor '{}'", arguments.sensor));
}

Result<std::vector<Field>> fields_to_group_by(const Schema &schema, const DiffArguments &arguments) {
  if (!arguments.by.empty()) return parse_fields(schema, arguments.by, {});
  std::vector<Field> by;
  for (const Field &field : all_fields(schema))
    if (schema.shape == Shape::kTable ? field.column->role == Role::kKey : field.column->kind == Kind::kComm)
      by.push_back(field);
  return by;
}

Result<Sample> sample_of_recording(std::string_view bytes, const DiffArguments &arguments) {
  std::unique_ptr<recording::Player> player =
      TRY(recording::Player::open(recording::source_of(std::as_bytes(std::span(bytes)))));
  const recording::PlayedStream *stream = TRY(choose_stream(*player, arguments));
  Aggregate aggregate(stream->schema, TRY(fields_to_group_by(stream->schema, arguments)));
  Renderer renderer(player->host());
  while (std::optional<recording::Player::Event> event = TRY(player->next()))
    if (event->stream == stream) aggregate.add(event->row, renderer);
  return sample_of(aggregate);
}

Result<Sample> read_sample(const std::string &path, const DiffArguments &arguments, const MeaningOf &meaning_of) {
  std::string text = TRY(read_file(path == "-" ? "/dev/stdin" : path, kBytesMost));
  bool is_recording = text.starts_with(recording::kMagic);
  Result<Sample> sample = is_recording ? sample_of_recording(text, arguments) : parse_sample(text, meaning_of);
  if (!sample) {
    Error error = std::move(sample).error();
    error.what = fmt::format("cannot compare '{}': {}", path, error.what);
    return tl::unexpected(std::move(error));
  }
  return sample;
}

// One number of a group, twice.
struct Pair {
  std::string name;
  uint64_t before = 0, after = 0;
  Kind kind = Kind::kCount;
};

std::vector<Pair> parts_of(const std::string &name, const Histogram &before, const Histogram &after) {
  auto average = [](const Histogram &h) { return h.count == 0 ? 0 : h.sum / h.count; };
  auto quantile = [](const Histogram &h, double share) { return static_cast<uint64_t>(h.quantile(share)); };
  return {{name + "_count", before.count, after.count, Kind::kCount},
          {name + "_sum", before.sum, after.sum, Kind::kDuration},
          {name + "_avg", average(before), average(after), Kind::kDuration},
          {name + "_p50", quantile(before, 0.5), quantile(after, 0.5), Kind::kDuration},
          {name + "_p99", quantile(before, 0.99), quantile(after, 0.99), Kind::kDuration},
          {name + "_max", before.most, after.most, Kind::kDuration}};
}

class Printer {
 public:
  Printer(const Sample &shape, const MeaningOf &meaning_of, Output &output)
      : shape_(&shape), meaning_of_(&meaning_of), output_(&output) {
    nothing_.sums.resize(shape.sums.size());
    nothing_.distributions.resize(shape.distributions.size());
  }

  void print_for_people(const Change &change) {
    std::string &out = output_->text();
    if (output_->colors()) out += ansi::kBold;
    out += title_of(change);
    if (output_->colors()) out += ansi::kReset;
    fmt::format_to(std::back_inserter(out), "   {}significance {:.1f}\n",
                   change.before == nullptr  ? "new, "
                   : change.after == nullptr ? "vanished, "
                                             : "",
                   change.score);
    fmt::format_to(std::back_inserter(out), "  {:<20} {:>10} {:>10} {:>8}\n", "", "before", "after", "ratio");
    const SampleGroup &before = before_of(change), &after = after_of(change);
    for (const Pair &pair : sums_of(before, after)) print_pair(pair);
    for (size_t i = 0; i < shape_->distributions.size(); i++) {
      for (const Pair &pair : parts_of(shape_->distributions[i], before.distributions[i], after.distributions[i]))
        print_pair(pair);
      print_bars(before.distributions[i], after.distributions[i]);
    }
    out += '\n';
    output_->written();
  }

  void print_json(const Change &change) {
    std::string &out = output_->text();
    out += "{\"group\":{";
    for (size_t i = 0; i < shape_->by.size(); i++) {
      if (i > 0) out += ',';
      append_json_string(out, shape_->by[i]);
      out += ':' + change.labels()[i];
    }
    fmt::format_to(std::back_inserter(out), "}},\"in\":\"{}\",\"significance\":{:.3f}",
                   change.before == nullptr  ? "after"
                   : change.after == nullptr ? "before"
                                             : "both",
                   change.score);
    const SampleGroup &before = before_of(change), &after = after_of(change);
    for (const Pair &pair : sums_of(before, after)) print_json_pair(pair);
    for (size_t i = 0; i < shape_->distributions.size(); i++) {
      const std::string &name = shape_->distributions[i];
      for (const Pair &pair : parts_of(name, before.distributions[i], after.distributions[i])) print_json_pair(pair);
      out += ',';
      append_json_string(out, name + "_slots");
      fmt::format_to(std::back_inserter(out), R"(:{{"before":{},"after":{}}})", slots_json(before.distributions[i]),
                     slots_json(after.distributions[i]));
    }
    out += "}\n";
    output_->written();
  }

 private:
  const SampleGroup &before_of(const Change &change) const { return change.before ? *change.before : nothing_; }
  const SampleGroup &after_of(const Change &change) const { return change.after ? *change.after : nothing_; }

  std::string title_of(const Change &change) const {
    std::string title;
    for (size_t i = 0; i < shape_->by.size(); i++) {
      std::string_view label = change.labels()[i];
      if (label.size() >= 2 && label.front() == '"') label = label.substr(1, label.size() - 2);
      title += fmt::format("{}{}=", i == 0 ? "" : " ", shape_->by[i]);
      append_printable(title, label);
    }
    return title.empty() ? "all" : title;
  }

  std::vector<Pair> sums_of(const SampleGroup &before, const SampleGroup &after) const {
    std::vector<Pair> pairs;
    for (size_t i = 0; i < shape_->sums.size(); i++) {
      std::optional<ColumnMeaning> meaning = (*meaning_of_)(shape_->sums[i]);
      pairs.push_back({shape_->sums[i], before.sums[i], after.sums[i], meaning ? meaning->kind : Kind::kCount});
    }
    return pairs;
  }

  static std::string text_of(uint64_t value, Kind kind) {
    std::string text;
    if (kind == Kind::kDuration)
      append_duration(text, value);
    else if (kind == Kind::kBytes)
      append_bytes(text, value);
    else
      append_count(text, value);
    return text;
  }

  void print_pair(const Pair &pair) {
    std::string ratio =
        pair.before == 0 ? "-"
                         : fmt::format("{:.2f}x", static_cast<double>(pair.after) / static_cast<double>(pair.before));
    fmt::format_to(std::back_inserter(output_->text()), "  {:<20} {:>10} {:>10} {:>8}\n", pair.name,
                   text_of(pair.before, pair.kind), text_of(pair.after, pair.kind), ratio);
  }

  void print_json_pair(const Pair &pair) {
    std::string &out = output_->text();
    out += ',';
    append_json_string(out, pair.name);
    fmt::format_to(std::back_inserter(out), R"(:{{"before":{},"after":{},"ratio":)", pair.before, pair.after);
    if (pair.before == 0)
      out += "null}";
    else
      fmt::format_to(std::back_inserter(out), "{:.4f}}}",
                     static_cast<double>(pair.after) / static_cast<double>(pair.before));
  }

  // Both on one scale, of shares: what moved is seen also when one has more events.
  void print_bars(const Histogram &before, const Histogram &after) {
    size_t first = Histogram::kSlots, last = 0;
    double most = 0;
    auto share = [](const Histogram &of, size_t slot) {
      return of.count == 0 ? 0 : static_cast<double>(of.slots[slot]) / static_cast<double>(of.count);
    };
    for (size_t i = 0; i < Histogram::kSlots; i++) {
      if (before.slots[i] + after.slots[i] == 0) continue;
      first = std::min(first, i);
      last = i;
      most = std::max({most, share(before, i), share(after, i)});
    }
    for (size_t i = first; i <= last && i < Histogram::kSlots; i++) {
      auto bar = [&](const Histogram &of) {
        auto cells = static_cast<size_t>(std::lround(share(of, i) * kBarCells / most));
        return std::string(of.slots[i] > 0 ? std::max<size_t>(cells, 1) : 0, '*');
      };
      std::string from, to;
      append_duration(from, i == 0 ? 0 : uint64_t{1} << i);
      append_duration(to, uint64_t{1} << (i + 1));
      fmt::format_to(std::back_inserter(output_->text()), "  {:>8} .. {:<8} {:>10} |{:<{}}| {:>10} |{:<{}}|\n", from,
                     to, before.slots[i], bar(before), kBarCells, after.slots[i], bar(after), kBarCells);
    }
  }

  const Sample *shape_;
  const MeaningOf *meaning_of_;
  Output *output_;
  SampleGroup nothing_;
};

int diff(const DiffArguments &arguments) {
  std::map<std::string, ColumnMeaning> meanings = column_meanings();
  MeaningOf meaning_of = [&](std::string_view name) -> std::optional<ColumnMeaning> {
    // What a column leads to (uid.name) is a label, whatever the column is.
    if (name.find('.') != std::string_view::npos) return ColumnMeaning{Kind::kText, false};
    auto found = meanings.find(std::string(name));
    return found == meanings.end() ? std::nullopt : std::optional(found->second);
  };
  Result<Sample> before = read_sample(arguments.before, arguments, meaning_of);
  if (!before) return report(before.error());
  Result<Sample> after = read_sample(arguments.after, arguments, meaning_of);
  if (!after) return report(after.error());
  Result<std::vector<Change>> changes = compare(*before, *after);
  if (!changes) return report(changes.error());

  Output output(STDOUT_FILENO);
  bool no_shape = before->sums.empty() && before->distributions.empty();
  Printer printer(no_shape ? *after : *before, meaning_of, output);
  size_t shown = arguments.top == 0 ? changes->size() : std::min(arguments.top, changes->size());
  for (size_t i = 0; i < shown; i++)
    arguments.json ? printer.print_json((*changes)[i]) : printer.print_for_people((*changes)[i]);
  if (!arguments.json) {
    size_t appeared = 0, vanished = 0;
    for (const Change &change : *changes) appeared += change.before == nullptr, vanished += change.after == nullptr;
    fmt::format_to(std::back_inserter(output.text()), "{} groups: {} new, {} vanished{}\n", changes->size(), appeared,
                   vanished, shown < changes->size() ? fmt::format("; the {} most changed shown", shown) : "");
  }
  output.flush();
  if (output.failure().empty()) return kDone;
  return report(Error{ErrorCode::kFailed, "cannot write the output", output.failure(), ""});
}

}  // namespace

std::function<int()> configure_diff(CLI::App &app) {
  auto arguments = std::make_shared<DiffArguments>();
  app.add_option("before", arguments->before,
                 "a recording, or lines of watch --json with --by, --view top or histogram")
      ->required()
      ->type_name("BEFORE");
  app.add_option("after", arguments->after, "the same, taken later")->required()->type_name("AFTER");
  app.add_option("--by", arguments->by, "of recordings: group by these columns")->type_name("COL,...");
  app.add_option("-s,--sensor", arguments->sensor, "of recordings of several sensors: this one")->type_name("SENSOR");
  app.add_option("--top", arguments->top, "how many groups to show (10); 0 for all")
      ->type_name("N")
      ->check(not_negative());
  app.add_flag("--json", arguments->json, "one JSON object a group");
  return [arguments] { return diff(*arguments); };
}

}  // namespace waggle
