// The words of the screens of `waggle top`: values with their units, and lines of
// them that leave out whole what does not fit.
// Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cli/top_snapshot.h"
#include "view/screen_text.h"

namespace waggle::top_text {

inline constexpr std::string_view kUnknown = "-";

std::string duration_text(double ns);
std::string bytes_text(double bytes);
std::string count_text(uint64_t count);
// Digits where they say something: "0%", "0.4%", "37%".
std::string percent_text(double percent);
// "0/s", "0.4/s", "12/s", "12.3k/s": a rate of single things is not rounded away.
std::string rate_text(double per_second);
// Of what sensors counted in the interval.
std::string rate_text(const TopSnapshot &snapshot, const std::optional<uint64_t> &count);
std::string bytes_rate_text(double per_second);
// '-' when nothing was counted.
std::string quantile_text(const Histogram &histogram, double share);

// "label value  label value …": facts that do not fit are left out, and so are all
// after them, because they are given most important first.
class Facts {
 public:
  // Goes on after what the line holds already.
  Facts(Line line, size_t columns) : line_(std::move(line)), columns_(columns) {}

  Facts &add(std::string_view label, std::string_view value, Style style = Style::kPlain);
  operator Line() const { return line_; }

 private:
  Line line_;
  size_t columns_;
  bool any_ = false, full_ = false;
};

// The line above the keys: losses first, then what is not known and why.
Line note_line(const TopSnapshot &snapshot);

}  // namespace waggle::top_text
