#include "sensor/user_hooks.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "base/check.h"
#include "kernel/features.h"
#include "kernel/probes.h"
#include "kernel/tracefs.h"

namespace waggle {
namespace {

// Each takes two descriptors a program, and 0.1 ms to attach.
constexpr size_t kPlacesMost = 4000;
constexpr size_t kDescriptorsPerPlace = 4;
constexpr uint64_t kPageBytes = 4096;  // WG_PAGE_BYTES

// struct wg_probe_name, struct wg_usdt_place of waggle/user.h and waggle/usdt.h.
struct ProbeName {
  char text[128];
};

struct UsdtArgumentSlot {
  uint8_t where = 0, is_signed = 0, bytes = 0, scale = 0, shift = 0;
  int8_t base = -1, index = -1;
  uint8_t padding = 0;
  int64_t constant = 0;
};
struct UsdtPlace {
  UsdtArgumentSlot arguments[6];
};

UsdtPlace usdt_place(const UserProbe &probe) {
  UsdtPlace place;
  size_t count = std::min(probe.arguments.size(), std::size(place.arguments));
  for (size_t i = 0; i < count; i++) {
    const UsdtArgument &from = probe.arguments[i];
    place.arguments[i] = {static_cast<uint8_t>(from.where),
                          from.is_signed,
                          from.bytes,
                          from.scale,
                          from.shift,
                          from.base,
                          from.index,
                          0,
                          from.constant};
  }
  return place;
}

bool has_cookies() {
  return Kernel::running().can(FeatureId::kCookie);
}

// What does not fit is told apart by its number.
std::string shortened(const std::string &name, uint32_t number) {
  if (name.size() < sizeof(ProbeName)) return name;
  std::string tail = fmt::format("…#{}", number);
  return name.substr(0, sizeof(ProbeName) - 1 - tail.size()) + tail;
}

void raise_descriptor_limit(size_t wanted) {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
  // Refused or not: attaching will tell.
  setrlimit(RLIMIT_NOFILE, &limit);
}

std::string_view form_of(std::string_view section) {
  return section.substr(0, section.find('/'));
}

// A tracepoint that a sensor names itself is "tracepoint/CATEGORY/NAME".
bool is_named_tracepoint(std::string_view section) {
  return form_of(section) == "tracepoint" && std::count(section.begin(), section.end(), '/') == 1;
}

Result<std::vector<UserProbe>> find_tracepoints(const std::string &target) {
  std::vector<UserProbe> probes;
  for (std::string &name : TRY(tracepoints_matching(target))) {
    UserProbe &probe = probes.emplace_back();
    probe.name = std::move(name);
    probe.shown_path = "the kernel";
  }
  return probes;
}

bpf_link *attach_tracepoint(const bpf_program *program, const UserProbe &probe, uint64_t cookie) {
  TracepointName name = *parse_tracepoint_name(probe.name);
  bpf_tracepoint_opts options = {};
  options.sz = sizeof(options);
  if (has_cookies()) options.bpf_cookie = cookie;
  return bpf_program__attach_tracepoint_opts(program, std::string(name.category).c_str(),
                                             std::string(name.name).c_str(), &options);
}

}  // namespace

bool UserHooks::is_user_section(std::string_view section) {
  std::string_view form = form_of(section);
  return form == "uprobe" || form == "uretprobe" || form == "usdt" || is_named_tracepoint(section);
}

std::string UserHooks::key_of(const std::string &section) {
  std::string target = section.substr(form_of(section).size() + 1);
  std::string_view kind = section.starts_with("usdt/")   ? "usdt:"
                          : is_named_tracepoint(section) ? "event:"
                                                         : "function:";
  return std::string(kind) + target;
}

Result<void> UserHooks::find(const std::string &section) {
  std::string key = key_of(section);
  std::string target = key.substr(key.find(':') + 1);
  auto found = places_.find(key);
  if (found == places_.end()) {
    Places places{places_count_, TRY(section.starts_with("usdt/")   ? find_usdt_probes(target, pid_)
                                     : is_named_tracepoint(section) ? find_tracepoints(target)
                                                                    : find_user_functions(target, pid_))};
    if (places_count_ + places.probes.size() > kPlacesMost)
      return fail(ErrorCode::kExhausted, fmt::format("'{}' is too many places", target),
                  fmt::format("{} match, {} can be traced at once", places.probes.size(), kPlacesMost),
                  "name fewer, with a narrower pattern");
    places_count_ += static_cast<uint32_t>(places.probes.size());
    found = places_.emplace(std::move(key), std::move(places)).first;
  }
  if (section.starts_with("uretprobe/"))
    for (const UserProbe &probe : found->second.probes)
      if (probe.returns_oddly)
        return fail(ErrorCode::kInvalid, fmt::format("the return of {}() cannot be waited for", probe.name),
                    "it has no return address of its own, or keeps it: the program would crash",
                    "--set returns=0      counts its calls only");
  return {};
}

void UserHooks::prepare(bpf_object *object) const {
  for (const char *name : {"wg_probe_names", "wg_usdt_places"})
    if (bpf_map *map = bpf_object__find_map_by_name(object, name); map != nullptr)
      bpf_map__set_max_entries(map, std::max(places_count_, 1u));
}

Result<void> UserHooks::fill(bpf_object *object) const {
  bpf_map *names = bpf_object__find_map_by_name(object, "wg_probe_names");
  if (names == nullptr) return {};
  bpf_map *usdt = bpf_object__find_map_by_name(object, "wg_usdt_places");
  auto write = [](int map, uint32_t key, const void *value) -> Result<void> {
    if (int error = bpf_map_update_elem(map, &key, value, BPF_ANY); error != 0)
      return fail_errno(-error, "cannot name the probes");
    return {};
  };
  // By offset in the page: all that share it.
  std::map<uint32_t, std::vector<uint32_t>> pages;
  std::vector<std::string> text(places_count_);
  for (const auto &[key, places] : places_) {
    for (size_t i = 0; i < places.probes.size(); i++) {
      uint32_t number = places.first + static_cast<uint32_t>(i);
      text[number] = places.probes[i].name;
      pages[places.probes[i].offset % kPageBytes].push_back(number);
      if (usdt == nullptr) continue;
      UsdtPlace place = usdt_place(places.probes[i]);
      TRY(write(bpf_map__fd(usdt), number, &place));
    }
  }
  if (!has_cookies()) {
    int by_page = bpf_map__fd(bpf_object__find_map_by_name(object, "wg_probe_by_page"));
    for (const auto &[in_page, numbers] : pages) {
      uint32_t first = numbers[0] + 1;
      TRY(write(by_page, in_page, &first));
      std::string all = text[numbers[0]];
      for (size_t i = 1; i < numbers.size(); i++)
        if (text[numbers[i]] != text[numbers[0]]) all += " or " + text[numbers[i]];
      text[numbers[0]] = std::move(all);
    }
  }
  for (uint32_t number = 0; number < places_count_; number++) {
    ProbeName name = {};
    std::string fits = shortened(text[number], number);
    memcpy(name.text, fits.data(), fits.size());
    TRY(write(bpf_map__fd(names), number, &name));
  }
  return {};
}

Result<void> UserHooks::attach(const bpf_program *program, const std::string &section, std::vector<bpf_link *> &links,
                               std::vector<std::string> &lacks) const {
  auto found = places_.find(key_of(section));
  CHECK(found != places_.end());
  const Places &places = found->second;
  raise_descriptor_limit(64 + places_count_ * kDescriptorsPerPlace);
  size_t attached = 0;
  std::string first_failure;
  int first_error = 0;
  for (size_t i = 0; i < places.probes.size(); i++) {
    const UserProbe &probe = places.probes[i];
    uint64_t cookie = places.first + i + 1;
    bpf_link *link;
    if (is_named_tracepoint(section)) {
      link = attach_tracepoint(program, probe, cookie);
    } else {
      bpf_uprobe_opts options = {};
      options.sz = sizeof(options);
      options.retprobe = section.starts_with("uretprobe/");
      options.ref_ctr_offset = probe.semaphore;
      if (has_cookies()) options.bpf_cookie = cookie;
      link =
          bpf_program__attach_uprobe_opts(program, pid_ == 0 ? -1 : pid_, probe.path.c_str(), probe.offset, &options);
    }
    if (link != nullptr) {
      links.push_back(link);
      attached++;
      continue;
    }
    if (first_error == 0) {
      first_error = errno;
      first_failure = fmt::format("{} in {}: {}", probe.name, probe.shown_path, strerror(errno));
    }
  }
  if (attached == 0)
    return fail(first_error == EACCES || first_error == EPERM ? ErrorCode::kDenied : ErrorCode::kUnsupported, {},
                first_failure);
  if (attached < places.probes.size())
    lacks.push_back(fmt::format("{} of {} places cannot be traced, the first is {}", places.probes.size() - attached,
                                places.probes.size(), first_failure));
  return {};
}

}  // namespace waggle
