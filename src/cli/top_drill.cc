// The screens of `waggle top` behind the first: one sensor as a table, and help.

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "cli/top_layout.h"
#include "cli/top_text.h"
#include "view/layout.h"

namespace waggle {

using namespace top_text;

namespace {

// A column of a drill table.
struct DrillColumn {
  std::string heading;
  size_t width = 0;
  bool right = false, keep_end = false, sorted = false;
  int rank = 0;  // where room is short, the highest go first; labels, 0, stay
  std::function<std::string(const Group &)> text;
};

std::string amount_text(const Measure &measure, uint64_t value) {
  return measure.column != nullptr && measure.column->kind == Kind::kBytes ? bytes_text(static_cast<double>(value))
                                                                           : count_text(value);
}

std::vector<DrillColumn> drill_columns(const Aggregate &groups, size_t sort, const std::vector<const Group *> &shown,
                                       size_t columns) {
  std::vector<DrillColumn> all;
  for (size_t i = 0; i < groups.by().size(); i++) {
    const Field &field = groups.by()[i];
    DrillColumn column;
    column.heading = field.name;
    column.width = columns_of(field.name);
    bool any = false;
    for (const Group *group : shown) {
      const std::string &label = group->labels[i];
      any |= !label.empty() && label != "0";
      column.width = std::max(column.width, columns_of(printable(label)));
    }
    // A part of the key that nobody asked for is the same everywhere.
    if (!any) continue;
    column.width = std::min(column.width, std::max<size_t>(16, columns / 3));
    column.keep_end = field.column->kind == Kind::kPath;
    column.text = [i](const Group &group) { return group.labels[i]; };
    all.push_back(std::move(column));
  }
  // Measures need room, too; what a row is about comes first among its labels.
  size_t labels = 0;
  for (const DrillColumn &column : all) labels += column.width + 2;
  while (labels > columns / 3 * 2 && all.size() > 2) {
    labels -= all.back().width + 2;
    all.pop_back();
  }
  for (size_t i = 0; i < groups.measures().size(); i++) {
    const Measure &measure = groups.measures()[i];
    size_t slot = groups.slot(i);
    auto add = [&](std::string heading, int rank, std::function<std::string(const Group &)> text) {
      size_t width = std::max<size_t>(8, columns_of(heading));
      all.push_back({std::move(heading), width, true, false, i == sort, i == sort ? 1 : rank, std::move(text)});
    };
    if (!measure.is_distribution()) {
      add(measure.name, 3, [&measure, slot](const Group &group) { return amount_text(measure, group.sums[slot]); });
      continue;
    }
    auto quantile = [slot](double share) {
      return [slot, share](const Group &group) { return quantile_text(group.distributions[slot], share); };
    };
    add(measure.name + " p50", 5, quantile(0.5));
    add(measure.name + " p99", 2, quantile(0.99));
    add(measure.name + " max", 4,
        [slot](const Group &group) { return duration_text(static_cast<double>(group.distributions[slot].most)); });
  }
  size_t used = 0;
  for (const DrillColumn &column : all) used += column.width + 2;
  while (used > columns + 2) {
    auto victim = all.begin();
    for (auto each = all.begin(); each != all.end(); ++each)
      if (each->rank >= victim->rank) victim = each;
    if (victim->rank <= 1) break;
    used -= victim->width + 2;
    all.erase(victim);
  }
  return all;
}

}  // namespace

std::vector<Line> drill_lines(const TopSnapshot &snapshot, const TopChoices &choices, const TopDrill &drill,
                              size_t rows, size_t columns) {
  std::vector<Line> lines;
  Line heading;
  heading.put(drill.sensor, Style::kFocus);
  lines.push_back(Facts(heading.put("  "), columns).add("", drill.summary));
  Line siblings = Line().put("  ");
  for (std::string_view sensor : sensors_of(choices.focus))
    siblings.put(sensor, sensor == drill.sensor ? Style::kBold : Style::kDim).put("  ");
  lines.push_back(siblings);
  size_t body = rows > 2 ? rows - 2 : 0;
  if (drill.groups == nullptr) {
    lines.push_back(Line());
    lines.push_back(Line().put("It does not run: ").put(drill.why, Style::kWarning));
  } else {
    size_t sort = drill.sort.value_or(drill.groups->default_measure());
    std::vector<const Group *> sorted = drill.groups->sorted_by(sort, 0);
    size_t room = body > lines.size() + 1 ? body - lines.size() - 1 : 0;
    size_t first = std::min(drill.first, sorted.size() > room ? sorted.size() - room : 0);
    std::vector<const Group *> shown(sorted.begin() + static_cast<ptrdiff_t>(first),
                                     sorted.begin() + static_cast<ptrdiff_t>(std::min(sorted.size(), first + room)));
    lines.back() = Facts(std::move(siblings), columns)
                       .add("", fmt::format("since {}, {} of {} rows{}", drill.since, shown.size(), sorted.size(),
                                            drill.forgets_idle ? ", idle ones dropped" : ""));
    std::vector<DrillColumn> table = drill_columns(*drill.groups, sort, shown, columns);
    Line names;
    for (const DrillColumn &column : table) {
      std::string name = upper(column.heading);
      Style style = column.sorted ? Style::kBold : Style::kDim;
      (column.right ? names.right(name, column.width, style) : names.left(name, column.width, style)).put("  ");
    }
    lines.push_back(names);
    for (const Group *group : shown) {
      Line line;
      for (const DrillColumn &column : table) {
        if (column.right)
          line.right(column.text(*group), column.width);
        else
          line.left(column.text(*group), column.width, Style::kPlain, column.keep_end);
        line.put("  ");
      }
      lines.push_back(line);
    }
    if (sorted.empty()) lines.push_back(Line().put("nothing yet", Style::kDim));
  }
  lines.resize(body);
  lines.push_back(note_line(snapshot));
  lines.push_back(Facts(Line(), columns)
                      .add("", "Esc back")
                      .add("", "Left Right sensor")
                      .add("", "s sort")
                      .add("", "Up Down scroll")
                      .add("", "p pause")
                      .add("", "q quit"));
  return lines;
}

std::vector<Line> top_help(const TopSnapshot &snapshot, size_t rows, size_t columns) {
  static constexpr std::pair<std::string_view, std::string_view> kKeys[] = {
      {"1 to 6, Tab", "choose a section; Shift-Tab goes back"},
      {"Enter", "open it: all that its sensor has told, as a table"},
      {"Left, Right", "in a table: the section's other sensors"},
      {"Up, Down", "in a table: further rows (also Page Up and Down, Home, End)"},
      {"s", "sort processes by CPU, I/O, network; a table by its next column"},
      {"Esc", "back"},
      {"p", "pause; counting goes on"},
      {"+ -", "look more or less often"},
      {"q, Ctrl-C", "quit"},
  };
  static constexpr std::string_view kWords[] = {
      "Rates and waits are of the last interval, which the top right corner names.",
      "p50, p99: half, and 99 in 100, waited no longer. '-': not known.",
      "run queue: time from runnable to running. pressure: share of time in which",
      "some, or all, tasks waited. WAIT: mean time of a disk request with its queue.",
      "READ, WRITTEN of a process: from and to storage. TCP: bytes of connections",
      "that ended in the interval; what open ones carry is not known.",
      "TCP accepts, established, resets and devices: this network namespace only.",
      "Opens count waggle's own of /proc, some 3 for each process; FILES do not.",
  };
  std::vector<Line> lines;
  auto add = [&](Line line) { lines.push_back(std::move(line)); };
  add(Line().put("KEYS", Style::kBold));
  for (const auto &[key, meaning] : kKeys) add(Line().put("  ").left(key, 14, Style::kBold).put(meaning));
  add(Line().put("WORDS", Style::kBold));
  for (std::string_view words : kWords) add(Line().put("  ").put(words));
  add(Line().put("SENSORS", Style::kBold));
  using Is = TopSnapshot::SensorState::Is;
  Line running = Line().put("  ").left("run", 15);
  bool any = false;
  for (const TopSnapshot::SensorState &sensor : snapshot.sensors) {
    if (sensor.is == Is::kRunning && sensor.why.empty()) {
      if (any && running.columns() + columns_of(sensor.name) + 1 > columns) {
        add(running);
        running = Line().to(17);
      }
      running.put(sensor.name).put(" ");
      any = true;
      continue;
    }
    std::string_view state = sensor.is == Is::kStarting ? "starts"
                             : sensor.is == Is::kAbsent ? "does not run"
                                                        : "runs with less";
    add(Line()
            .put("  ")
            .left(sensor.name, 15)
            .put(fmt::format("{}: {}", state, sensor.why), sensor.is == Is::kAbsent ? Style::kWarning : Style::kPlain));
  }
  if (any) add(running);
  if (snapshot.sensors.empty()) add(Line().put("  none was asked for"));
  if (rows > 0 && lines.size() >= rows) lines.resize(rows - 1);
  lines.resize(rows > 0 ? rows - 1 : 0);
  add(Facts(Line(), columns).add("", "any key: back"));
  return lines;
}

}  // namespace waggle
