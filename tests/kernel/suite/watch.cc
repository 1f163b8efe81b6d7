#include "watch.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <fstream>

#include "activity.h"

namespace waggle::suite {
namespace {

// waggle with these files as its output.
pid_t start_waggle(const std::vector<std::string> &arguments, const std::string &out, const std::string &err) {
  std::vector<char *> argv = {const_cast<char *>("waggle")};
  for (const std::string &argument : arguments) argv.push_back(const_cast<char *>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t pid = must(fork(), "fork");
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  int null = open("/dev/null", O_RDONLY);
  int out_fd = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  int err_fd = open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  dup2(null, 0);
  dup2(out_fd, 1);
  dup2(err_fd, 2);
  execv(settings().waggle.c_str(), argv.data());
  _exit(127);
}

std::string new_path(std::string_view name) {
  static int runs = 0;
  return fmt::format("{}/waggle.{}.{}", folder(), ++runs, name);
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// "open: 12 produced = 2 filtered + 10 delivered + 0 lost"
bool parse_losses(std::string_view line, std::string &sensor, Losses &losses) {
  size_t colon = line.find(": ");
  if (colon == std::string_view::npos) return false;
  sensor = line.substr(0, colon);
  std::string rest(line.substr(colon + 2));
  return sscanf(rest.c_str(), "%lu produced = %lu filtered + %lu delivered + %lu lost", &losses.produced,
                &losses.filtered, &losses.delivered, &losses.lost) == 4;
}

std::string shortened(const std::string &text) {
  return text.size() <= 600 ? text : text.substr(0, 600) + "…";
}

}  // namespace

Watch::Watch(std::vector<std::string> arguments) : out_path_(new_path("out")), err_path_(new_path("err")) {
  for (const std::string &argument : arguments) {
    if (argument.starts_with("-")) break;
    sensors_.push_back(argument.substr(0, argument.find(':')));
  }
  for (const std::string &argument : arguments)
    sums_ |= argument == "top" || argument == "stacks" || argument == "--by" || argument == "--count";
  arguments.insert(arguments.begin(), {"watch", "-v", "--json"});
  start(arguments);
}

Watch::Watch(std::vector<std::string> command, std::vector<std::string> sensors)
    : sensors_(std::move(sensors)), out_path_(new_path("out")), err_path_(new_path("err")) {
  command.insert(command.end(), {"--verbose", "--json"});
  // What a tool shows may be sums; a case that wants rows counts them itself.
  sums_ = true;
  start(command);
}

void Watch::start(const std::vector<std::string> &command) {
  pid_ = start_waggle(command, out_path_, err_path_);
  // Opened once: an open of ours between attaching and seeing it would be a row.
  int fd = must(open(err_path_.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0644), "open " + err_path_);
  std::string err;
  // Loading takes the verifier a second per sensor where it is emulated.
  for (int tries = 0; tries < 40000; tries++) {
    char block[4096];
    for (ssize_t got; (got = pread(fd, block, sizeof(block), static_cast<off_t>(err.size()))) > 0;)
      err.append(block, static_cast<size_t>(got));
    bool attached = true;
    for (const std::string &sensor : sensors_)
      attached &= err.starts_with(sensor + ": ") || err.find("\n" + sensor + ": ") != std::string::npos;
    if (attached) {
      close(fd);
      return;
    }
    int status;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      fail_case(
          fmt::format("waggle ended with status {:#x} before it watched: {}", status, shortened(read_file(err_path_))));
    }
    usleep(2000);
  }
  fail_case("waggle was not attached within 80 s: " + shortened(err));
}

Watch::~Watch() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

Seen Watch::wait_for_end() {
  return end(true);
}

Seen Watch::stop() {
  kill(pid_, SIGINT);
  return end(true);
}

Seen Watch::stop_unparsed() {
  kill(pid_, SIGINT);
  return end(false);
}

Seen Watch::end(bool parse) {
  Seen seen;
  seen.status = wait_for(pid_);
  pid_ = -1;
  seen.out = read_file(out_path_);
  seen.err = read_file(err_path_);
  if (seen.status != 0) fail_case(fmt::format("waggle ended with status {:#x}: {}", seen.status, shortened(seen.err)));
  for (std::string_view line : lines_of(seen.err)) {
    std::string sensor;
    Losses losses;
    if (parse_losses(line, sensor, losses)) seen.losses[sensor] = losses;
  }
  uint64_t delivered = 0;
  for (const std::string &sensor : sensors_) {
    expect(seen.losses.count(sensor) == 1, fmt::format("no count of losses of '{}': {}", sensor, shortened(seen.err)));
    const Losses &of = seen.losses[sensor];
    delivered += of.delivered;
    expect_equal(of.produced, of.filtered + of.delivered + of.lost,
                 sensor + ": produced against filtered + delivered + lost");
  }
  if (!parse) return seen;
  for (std::string_view line : lines_of(seen.out)) seen.rows.push_back(parse_line(line));
  if (!sums_) expect_equal(seen.rows.size(), delivered, "rows shown against rows delivered");
  return seen;
}

Ran run_waggle(const std::vector<std::string> &arguments) {
  std::string out = new_path("out"), err = new_path("err");
  Ran ran;
  ran.status = wait_for(start_waggle(arguments, out, err));
  ran.out = read_file(out);
  ran.err = read_file(err);
  return ran;
}

// A lone surrogate is not text, and the parser refuses it: it goes through as a
// code point of the private use area.
Json parse_line(std::string_view line) {
  std::string mended(line);
  for (size_t at = 0; (at = mended.find("\\udc", at)) != std::string::npos; at += 6) {
    size_t slashes = 0;
    while (slashes < at && mended[at - 1 - slashes] == '\\') slashes++;
    if (slashes % 2 == 0) mended.replace(at, 4, "\\uf7");
  }
  Json row = Json::parse(mended, nullptr, /*allow_exceptions=*/false);
  if (row.is_discarded()) fail_case("not a line of JSON: " + shortened(std::string(line)));
  return row;
}

std::string bytes_of(const Json &value) {
  if (!value.is_string()) fail_case("not a string: " + value.dump());
  const std::string &utf8 = value.get_ref<const std::string &>();
  std::string bytes;
  for (size_t i = 0; i < utf8.size(); i++) {
    auto at = [&](size_t offset) { return i + offset < utf8.size() ? static_cast<uint8_t>(utf8[i + offset]) : 0; };
    // U+F780 to U+F7FF
    if (at(0) == 0xef && (at(1) == 0x9e || at(1) == 0x9f)) {
      bytes += static_cast<char>((at(1) & 1) << 6 | (at(2) & 0x3f) | 0x80);
      i += 2;
    } else {
      bytes += utf8[i];
    }
  }
  return bytes;
}

std::vector<std::string> all_bytes_of(const Json &texts) {
  if (!texts.is_array()) fail_case("not a list: " + texts.dump());
  std::vector<std::string> all;
  for (const Json &each : texts) all.push_back(bytes_of(each));
  return all;
}

uint64_t number(const Json &row, const char *column) {
  auto found = row.find(column);
  if (found == row.end() || !found->is_number())
    fail_case(fmt::format("no number '{}' in {}", column, shortened(row.dump(-1, ' ', true))));
  return found->get<uint64_t>();
}

std::string text(const Json &row, const char *column) {
  auto found = row.find(column);
  if (found == row.end()) fail_case(fmt::format("no '{}' in {}", column, shortened(row.dump(-1, ' ', true))));
  return bytes_of(*found);
}

std::vector<Json> rows_where(const std::vector<Json> &rows, const char *column, const Json &value) {
  std::vector<Json> found;
  for (const Json &row : rows)
    if (auto it = row.find(column); it != row.end() && *it == value) found.push_back(row);
  return found;
}

uint64_t when_ns(const Json &row) {
  std::string when = text(row, "when");
  tm utc = {};
  char *rest = strptime(when.c_str(), "%Y-%m-%dT%H:%M:%S", &utc);
  if (rest == nullptr || *rest != '.' || when.size() != 30 || when.back() != 'Z') fail_case("not a time: " + when);
  return static_cast<uint64_t>(timegm(&utc)) * 1'000'000'000 + strtoull(rest + 1, nullptr, 10);
}

bool programs_are_preempted() {
  std::ifstream file("/sys/kernel/debug/sched/preempt");
  std::string modes;
  std::getline(file, modes);
  return modes.find("(full)") != std::string::npos || modes.find("(lazy)") != std::string::npos;
}

void expect_all(uint64_t got, const Losses &losses, uint64_t all, std::string_view what) {
  if (programs_are_preempted() && losses.lost > 0) {
    expect_between(got, all - std::min(all, losses.lost), all, what);
    note(fmt::format("{} of {}: {} lost, because this kernel preempts BPF programs", got, all, losses.lost));
    return;
  }
  expect_equal(got, all, what);
  expect_equal(losses.lost, 0u, "lost");
}

}  // namespace waggle::suite
