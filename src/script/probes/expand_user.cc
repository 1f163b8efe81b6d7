// Places in user space: functions, addresses and USDT probes of files.

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <set>
#include <tuple>

#include "base/text.h"
#include "format/elf.h"
#include "kernel/procfs.h"
#include "script/probes/expand_parts.h"
#include "symbol/files.h"
#include "symbol/user_files.h"
#include "symbol/user_probes.h"

namespace waggle::script {
namespace {

constexpr size_t kFilesMost = 4096;  // that a pattern may mean
constexpr size_t kSymbolBytesMost = 512u << 20;

// Files that a process has mapped as code, each once, the program's first.
Result<std::vector<std::string>> mapped_files(int32_t pid) {
  ProcessFiles process = TRY(ProcessFiles::open(pid));
  std::vector<std::string> paths;
  for (const MapRange &map : TRY(process.maps()))
    if (map.executable && map.path.starts_with('/') && !map.deleted &&
        std::find(paths.begin(), paths.end(), map.path) == paths.end())
      paths.push_back(map.path);
  return paths;
}

std::vector<std::string> files_on_disk(const std::string &pattern) {
  std::vector<std::string> paths;
  glob_t found = {};
  if (::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found) == 0)
    for (size_t i = 0; i < found.gl_pathc && paths.size() < kFilesMost; i++) paths.emplace_back(found.gl_pathv[i]);
  ::globfree(&found);
  std::sort(paths.begin(), paths.end());
  return paths;
}

struct Files {
  std::vector<std::string> names;  // as find_user_functions() takes them
  bool is_certain = false;         // one was named: that it lacks the probe is an error
};

Result<Files> files_of(const AttachPoint &point, int32_t pid) {
  bool usdt = point.provider == Provider::kUsdt;
  if (point.target.empty() && !usdt) {
    ProcessFiles process = TRY(ProcessFiles::open(pid));
    return Files{{TRY(process.exe())}, true};
  }
  if (!point.target.empty() && !has_wildcard(point.target)) return Files{{point.target}, true};
  // USDT probes without a file are any file's of the process.
  Files files;
  if (pid != 0) {
    files.names = TRY(mapped_files(pid));
    if (!point.target.empty())
      std::erase_if(files.names, [&](const std::string &path) {
        return !wildcard_match(point.target, path) && !wildcard_match(point.target, path.substr(path.rfind('/') + 1));
      });
  } else if (point.target.find('/') != std::string::npos) {
    files.names = files_on_disk(point.target);
  } else {
    return fail(ErrorCode::kInvalid, fmt::format("{} needs a process or a path", point.text()),
                fmt::format("'{}' could be any file", point.target), "add -p PID, or write a path: /usr/lib/lib*.so");
  }
  return files;
}

// What symbol/user_probes.h looks for. Brackets, which it does not know, are left
// for matches() to look at.
std::string wanted_of(const AttachPoint &point, const std::string &file) {
  std::string wanted = file + ":";
  if (!point.usdt_provider.empty()) wanted += wider_glob(point.usdt_provider) + ":";
  return wanted + wider_glob(point.function);
}

bool matches(const AttachPoint &point, const UserProbe &found) {
  if (point.function.find('[') == std::string::npos && point.usdt_provider.find('[') == std::string::npos) return true;
  std::string_view name = found.name;
  if (point.provider != Provider::kUsdt)
    return wildcard_match(point.function, name) || wildcard_match(point.function, name.substr(0, name.find('(')));
  size_t colon = name.find(':');
  return wildcard_match(point.function, name.substr(colon + 1)) &&
         (point.usdt_provider.empty() || wildcard_match(point.usdt_provider, name.substr(0, colon)));
}

Result<ElfFile> open_elf(const std::string &path) {
  Fd file = TRY(open_regular(path));
  return ElfFile::open(TRY(elf_bytes(std::move(file))));
}

const ElfSegment *segment_of_offset(const ElfFile &elf, uint64_t offset) {
  for (const ElfSegment &segment : elf.segments())
    if (segment.executable && offset >= segment.offset && offset - segment.offset < segment.file_bytes) return &segment;
  return nullptr;
}

// The size of the function at a place; nothing where the file does not say it.
std::optional<uint64_t> bytes_of_function(const UserProbe &place) {
  Result<ElfFile> elf = open_elf(place.path);
  if (!elf) return std::nullopt;
  const ElfSegment *segment = segment_of_offset(*elf, place.offset);
  if (segment == nullptr) return std::nullopt;
  uint64_t address = place.offset - segment->offset + segment->address;
  for (ElfSymbolTable table : {ElfSymbolTable::kSymtab, ElfSymbolTable::kDynsym}) {
    Result<ElfFunctions> functions = elf->functions(table, kSymbolBytesMost);
    if (!functions) continue;
    for (const ElfFunction &function : functions->rows)
      if (function.address == address && function.sized) return function.bytes;
  }
  return std::nullopt;
}

Result<void> move_into_function(const AttachPoint &point, UserProbe &place) {
  std::optional<uint64_t> bytes = bytes_of_function(place);
  if (bytes && point.offset >= *bytes)
    return fail(ErrorCode::kInvalid,
                fmt::format("Offset outside the function bounds ('{}' size is {:#x})", point.function, *bytes), {},
                "objdump -d shows where its instructions begin");
  place.offset += point.offset;
  return {};
}

// An address as the file was linked, which is what nm(1) shows.
Result<UserProbe> at_address(const AttachPoint &point, const UserFile &file) {
  ElfFile elf = TRY(open_elf(file.path));
  for (const ElfSegment &segment : elf.segments()) {
    if (!segment.executable || point.address < segment.address || point.address - segment.address >= segment.file_bytes)
      continue;
    UserProbe place;
    place.name = fmt::format("{:#x}", point.address);
    place.path = file.path;
    place.shown_path = file.shown;
    place.offset = point.address - segment.address + segment.offset;
    return place;
  }
  return fail(ErrorCode::kInvalid, fmt::format("{:#x} is not in the code of {}", point.address, file.shown),
              "a uprobe is set at an address as nm and objdump show it",
              fmt::format("objdump -d {} shows them", file.shown));
}

// bpftrace's words for a file that is not there.
Error of_missing_file(const AttachPoint &point, Error error, int32_t pid) {
  bool is_path = point.target.find('/') != std::string::npos && !has_wildcard(point.target);
  if (error.code == ErrorCode::kNotFound && is_path && !find_user_files(point.target, pid))
    error.what = fmt::format("{} target file '{}' does not exist or is not executable", provider_name(point.provider),
                             point.target);
  return error;
}

Result<std::vector<UserProbe>> places_in(const AttachPoint &point, const std::string &file, int32_t pid) {
  if (point.address != 0) {
    std::vector<UserFile> files = TRY(find_user_files(file, pid));
    return std::vector<UserProbe>{TRY(at_address(point, files[0]))};
  }
  std::string wanted = wanted_of(point, file);
  if (point.provider == Provider::kUsdt) return find_usdt_probes(wanted, pid);
  return find_user_functions(wanted, pid);
}

ConcreteProbe user_probe(const AttachPoint &point, UserProbe place) {
  AttachPoint one = point;
  one.target = place.shown_path;
  if (point.provider == Provider::kUsdt) {
    size_t colon = place.name.find(':');
    one.usdt_provider = place.name.substr(0, colon);
    one.function = place.name.substr(colon + 1);
  } else if (point.address == 0) {
    one.function = place.name;
    // Names with colons and arguments can only be written after "cpp:".
    if (place.name.find_first_of(":(") != std::string::npos) one.language = "cpp";
  }
  ConcreteProbe probe = probe_of(std::move(one));
  probe.place = std::move(place);
  return probe;
}

}  // namespace

Result<std::vector<ConcreteProbe>> expand_user(const AttachPoint &point, const ExpandOptions &options) {
  Files files = TRY(files_of(point, options.pid));
  std::vector<ConcreteProbe> probes;
  std::set<std::tuple<std::string, uint64_t>> seen;
  std::optional<Error> failure;
  for (const std::string &file : files.names) {
    Result<std::vector<UserProbe>> places = places_in(point, file, options.pid);
    if (!places) {
      if (!failure) failure = of_missing_file(point, std::move(places).error(), options.pid);
      continue;
    }
    for (UserProbe &place : *places) {
      if (!matches(point, place)) continue;
      // Its caller would return to nowhere.
      bool returns = point.provider == Provider::kUretprobe;
      if (returns && place.returns_oddly && point.has_wildcard()) continue;
      if (point.offset != 0) TRY(move_into_function(point, place));
      if (!seen.emplace(place.path, place.offset).second) continue;
      probes.push_back(user_probe(point, std::move(place)));
    }
  }
  if (!probes.empty()) {
    std::stable_sort(probes.begin(), probes.end(),
                     [](const ConcreteProbe &a, const ConcreteProbe &b) { return a.name < b.name; });
    return probes;
  }
  if (failure && files.is_certain) return tl::unexpected(std::move(*failure));
  return fail(ErrorCode::kNotFound, fmt::format("No matches for {}", point.text()),
              fmt::format("looked into {} files", files.names.size()),
              fmt::format("-l '{}:FILE:*'      lists what a file has", provider_name(point.provider)));
}

}  // namespace waggle::script
