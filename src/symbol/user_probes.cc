#include "symbol/user_probes.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <tuple>

#include "base/text.h"
#include "format/elf.h"
#include "symbol/debug_file.h"
#include "symbol/demangle.h"
#include "symbol/files.h"
#include "symbol/user_files.h"

namespace waggle {
namespace {

constexpr size_t kFunctionBytesMost = 512u << 20;
constexpr size_t kNoteBytesMost = 64u << 20;
constexpr char kDebugFolder[] = "/usr/lib/debug";

struct Target {
  std::string_view file, pattern;
};

Result<Target> parse_target(std::string_view target) {
  size_t colon = target.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == target.size())
    return fail(ErrorCode::kInvalid, fmt::format("bad target '{}'", target), "it must name a file and what is in it",
                "write it as FILE:NAME, such as libc:getaddrinfo or /usr/bin/bash:readline");
  return Target{target.substr(0, colon), target.substr(colon + 1)};
}

bool is_pattern(std::string_view text) {
  return text.find_first_of("*?") != std::string_view::npos;
}

bool is_mangled(std::string_view name) {
  return name.starts_with("_Z") || name.starts_with("_R");
}

// A piece of a function that the compiler put elsewhere: it is jumped to.
bool is_fragment(std::string_view name) {
  return name.find(".cold") != std::string_view::npos;
}

bool returns_oddly(std::string_view name) {
  static constexpr std::string_view kOdd[] = {"_start",      "setjmp",        "_setjmp",    "__setjmp",
                                              "sigsetjmp",   "__sigsetjmp",   "getcontext", "__getcontext",
                                              "swapcontext", "__swapcontext", "_dl_start",  "_dl_start_user"};
  return std::find(std::begin(kOdd), std::end(kOdd), name) != std::end(kOdd) ||
         name.starts_with("_dl_runtime_resolve") || name.starts_with("_dl_runtime_profile");
}

std::optional<uint64_t> file_offset(const ElfFile &file, uint64_t address, bool executable) {
  for (const ElfSegment &segment : file.segments())
    if ((segment.executable || !executable) && address >= segment.address &&
        address - segment.address < segment.file_bytes)
      return address - segment.address + segment.offset;
  return std::nullopt;
}

Result<ElfFile> open_elf(const UserFile &file) {
  Fd descriptor = TRY(open_regular(file.path));
  Result<ElfFile> opened = ElfFile::open(TRY(elf_bytes(std::move(descriptor))));
  if (!opened) {
    Error error = std::move(opened).error();
    error.what = fmt::format("cannot look into {}: {}", file.shown, error.what);
    return tl::unexpected(std::move(error));
  }
  return opened;
}

// All the tables that name a file's functions.
struct Names {
  std::vector<ElfFunctions> tables;
  bool stripped = false;  // only what it exports has a name
};

Result<Names> names_of(const ElfFile &elf, const UserFile &file, int32_t pid) {
  Names names;
  std::unique_ptr<ElfFile> debug;
  if (!elf.has_symtab()) debug = find_debug_file(elf, file.shown, kDebugFolder, pid == 0 ? getpid() : pid);
  names.stripped = !elf.has_symtab() && debug == nullptr;
  const ElfFile &full = debug == nullptr ? elf : *debug;
  names.tables.push_back(TRY(full.functions(ElfSymbolTable::kSymtab, kFunctionBytesMost)));
  names.tables.push_back(TRY(elf.functions(ElfSymbolTable::kDynsym, kFunctionBytesMost)));
  return names;
}

// The name of a function that matches, as it is shown; nothing when none does.
std::optional<std::string> matching_name(std::string_view pattern, std::string_view raw) {
  bool matches = glob_match(pattern, raw);
  if (!is_mangled(raw)) return matches ? std::optional<std::string>(raw) : std::nullopt;
  std::string full = demangle(raw);
  std::string_view bare = std::string_view(full).substr(0, full.find('('));
  if (matches || glob_match(pattern, full) || glob_match(pattern, bare)) return full;
  return std::nullopt;
}

// What there was besides what was found, for the error.
struct Others {
  std::vector<std::string> names;
  bool picks_another = false, stripped = false;
};

// Better known names first.
auto rank(std::string_view name, const ElfFunction &function) {
  size_t underscores = std::min(name.find_first_not_of('_'), name.size());
  return std::tuple(underscores, -static_cast<int>(function.binding), name.size());
}

Result<void> add_functions(std::vector<UserProbe> &probes, const UserFile &file, std::string_view pattern, int32_t pid,
                           Others &others) {
  ElfFile elf = TRY(open_elf(file));
  Names names = TRY(names_of(elf, file, pid));
  others.stripped |= names.stripped;
  bool exact = !is_pattern(pattern);
  struct Place {
    std::string name, raw;
    const ElfFunction *function;
  };
  std::map<uint64_t, Place> places;  // by address
  for (const ElfFunctions &table : names.tables) {
    for (const ElfFunction &function : table.rows) {
      std::string_view raw = table.name(function);
      std::optional<std::string> name = matching_name(pattern, raw);
      if (!name) {
        if (exact) others.names.emplace_back(raw);
        continue;
      }
      others.picks_another |= function.picks_another;
      // A label of the assembler may be jumped to: it is taken when somebody asks for it.
      if (function.picks_another || is_fragment(raw) || (!exact && (!function.sized || returns_oddly(raw)))) continue;
      auto [found, added] = places.try_emplace(function.address, Place{*name, std::string(raw), &function});
      if (!added && rank(*name, function) < rank(found->second.name, *found->second.function))
        found->second = {*name, std::string(raw), &function};
    }
  }
  for (auto &[address, place] : places) {
    std::optional<uint64_t> offset = file_offset(elf, address, /*executable=*/true);
    if (!offset) continue;
    bool oddly = returns_oddly(place.raw);
    probes.push_back({std::move(place.name), file.path, file.shown, *offset, oddly, 0, {}});
  }
  return {};
}

tl::unexpected<Error> no_function(const Target &target, const std::vector<UserFile> &files, const Others &others) {
  std::string what = fmt::format("no function '{}' in {}", target.pattern, files[0].shown);
  if (others.picks_another)
    return fail(ErrorCode::kNotFound, std::move(what),
                "that name only picks a variant for this processor when the program is loaded (IFUNC)",
                fmt::format("waggle list probes 'user:{}:*{}*'      shows the variants that have names", target.file,
                            target.pattern));
  std::vector<std::string_view> candidates(others.names.begin(), others.names.end());
  std::string_view near = nearest(target.pattern, candidates);
  std::string why, fix;
  if (others.stripped) why = "the file is stripped: only what it exports has a name";
  if (!near.empty())
    fix = fmt::format("did you mean '{}'?", near);
  else if (others.stripped)
    fix = fmt::format("install its debug symbols; waggle list probes 'user:{}:*' shows what has a name", target.file);
  else
    fix = fmt::format("waggle list probes 'user:{}:*'      shows them all", target.file);
  return fail(ErrorCode::kNotFound, std::move(what), std::move(why), std::move(fix));
}

void sort_by_name(std::vector<UserProbe> &probes) {
  std::sort(probes.begin(), probes.end(), [](const UserProbe &a, const UserProbe &b) {
    return std::tie(a.name, a.path, a.offset) < std::tie(b.name, b.path, b.offset);
  });
}

Result<void> add_usdt(std::vector<UserProbe> &probes, const UserFile &file, std::string_view pattern,
                      std::vector<std::string> &others) {
  ElfFile elf = TRY(open_elf(file));
  const ElfSection *section = elf.find_section(".note.stapsdt");
  if (section == nullptr) return {};
  const ElfSection *base = elf.find_section(".stapsdt.base");
  std::vector<std::byte> content = TRY(elf.content(*section, kNoteBytesMost));
  for (const StapsdtNote &note : TRY(parse_stapsdt(content))) {
    std::string name = note.provider + ":" + note.name;
    std::string_view matched = pattern.find(':') == std::string_view::npos ? note.name : std::string_view(name);
    if (!glob_match(pattern, matched)) {
      others.push_back(std::move(name));
      continue;
    }
    // The file was linked again (prelink) after the note was written.
    uint64_t moved = base != nullptr && note.base != 0 ? base->address - note.base : 0;
    std::optional<uint64_t> offset = file_offset(elf, note.address + moved, /*executable=*/true);
    if (!offset) continue;
    uint64_t semaphore = 0;
    if (note.semaphore != 0) semaphore = file_offset(elf, note.semaphore + moved, /*executable=*/false).value_or(0);
    probes.push_back(
        {std::move(name), file.path, file.shown, *offset, false, semaphore, parse_usdt_arguments(note.arguments)});
  }
  return {};
}

// Of several files that a short name means, one that cannot be read does not matter.
template <typename Add>
Result<void> each_file(const std::vector<UserFile> &files, Add add) {
  std::optional<Error> failure;
  bool one_read = false;
  for (const UserFile &file : files) {
    Result<void> added = add(file);
    one_read |= added.has_value();
    if (!added && !failure) failure = std::move(added).error();
  }
  if (!one_read && failure) return tl::unexpected(std::move(*failure));
  return {};
}

constexpr std::string_view kUser = "user:", kUsdt = "usdt:";

}  // namespace

Result<std::vector<UserProbe>> find_user_functions(std::string_view target, int32_t pid) {
  Target parts = TRY(parse_target(target));
  std::vector<UserFile> files = TRY(find_user_files(parts.file, pid));
  std::vector<UserProbe> probes;
  Others others;
  TRY(each_file(files, [&](const UserFile &file) { return add_functions(probes, file, parts.pattern, pid, others); }));
  if (probes.empty()) return no_function(parts, files, others);
  sort_by_name(probes);
  return probes;
}

Result<std::vector<UserProbe>> find_usdt_probes(std::string_view target, int32_t pid) {
  Target parts = TRY(parse_target(target));
  std::vector<UserFile> files = TRY(find_user_files(parts.file, pid));
  std::vector<UserProbe> probes;
  std::vector<std::string> others;
  TRY(each_file(files, [&](const UserFile &file) { return add_usdt(probes, file, parts.pattern, others); }));
  if (probes.empty()) {
    std::vector<std::string_view> names(others.begin(), others.end());
    std::string_view near = nearest(parts.pattern, names);
    return fail(ErrorCode::kNotFound, fmt::format("no USDT probe '{}' in {}", parts.pattern, files[0].shown),
                others.empty() ? "it was built without USDT probes" : "",
                !near.empty()    ? fmt::format("did you mean '{}'?", near)
                : others.empty() ? std::string()
                                 : fmt::format("waggle list probes 'usdt:{}:*'      shows them all", parts.file));
  }
  sort_by_name(probes);
  return probes;
}

bool is_user_probe_pattern(std::string_view pattern) {
  return pattern.starts_with(kUser) || pattern.starts_with(kUsdt);
}

Result<std::vector<std::string>> user_probes_matching(std::string_view pattern, int32_t pid) {
  bool usdt = pattern.starts_with(kUsdt);
  std::string target(pattern.substr(kUser.size()));
  if (target.find(':') == std::string::npos) target += ":*";
  std::vector<UserProbe> probes = TRY(usdt ? find_usdt_probes(target, pid) : find_user_functions(target, pid));
  std::string file = target.substr(0, target.find(':'));
  std::vector<std::string> names;
  for (const UserProbe &probe : probes) {
    std::string name = fmt::format("{}{}:{}", usdt ? kUsdt : kUser, file, probe.name);
    if (names.empty() || names.back() != name) names.push_back(std::move(name));
  }
  return names;
}

}  // namespace waggle
