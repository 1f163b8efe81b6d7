#include "symbol/user_files.h"

#include <dirent.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <set>

#include "base/text.h"
#include "format/ld_cache.h"
#include "kernel/procfs.h"
#include "symbol/files.h"

namespace waggle {
namespace {

constexpr size_t kCacheBytesMost = 16 << 20;

// Where libraries are when there is no cache: musl has none.
constexpr std::string_view kLibraryFolders[] = {"/lib64", "/lib", "/usr/lib64", "/usr/lib", "/usr/local/lib"};
constexpr std::string_view kProgramFolders = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string_view base_of(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

UserFile file_of(const std::string &path, int32_t pid) {
  return {pid == 0 ? path : fmt::format("/proc/{}/root{}", pid, path), path};
}

// Collects files, each once.
class Files {
 public:
  explicit Files(int32_t pid) : pid_(pid) {}

  // What is not there, or is not a file, is left out.
  void add(const std::string &path) {
    Result<Fd> file = pid_ == 0 ? open_regular(path) : open_in_root_of(pid_, path);
    if (!file) return;
    Result<FileFacts> facts = facts_of(*file);
    if (facts && seen_.insert(facts->id).second) files_.push_back(file_of(path, pid_));
  }
  bool empty() const { return files_.empty(); }
  std::vector<UserFile> take() { return std::move(files_); }

 private:
  int32_t pid_;
  std::set<FileId> seen_;
  std::vector<UserFile> files_;
};

void add_mapped(Files &files, std::string_view name, const ProcessFiles &process) {
  Result<std::vector<MapRange>> maps = process.maps();
  if (!maps) return;
  for (const MapRange &map : *maps)
    if (map.path.starts_with('/') && is_file_named(base_of(map.path), name)) files.add(map.path);
}

std::vector<CachedLibrary> cached_libraries(int32_t pid) {
  Result<Fd> file = pid == 0 ? open_regular("/etc/ld.so.cache") : open_in_root_of(pid, "/etc/ld.so.cache");
  if (!file) return {};
  Result<std::unique_ptr<ElfBytes>> bytes = elf_bytes(std::move(*file));
  if (!bytes || (*bytes)->size() > kCacheBytesMost) return {};
  std::vector<std::byte> content((*bytes)->size());
  if (!(*bytes)->read(0, content)) return {};
  return parse_ld_cache(content).value_or(std::vector<CachedLibrary>());
}

void add_of_folder(Files &files, std::string_view name, std::string_view folder, int32_t pid) {
  std::string path = file_of(std::string(folder), pid).path;
  DIR *directory = ::opendir(path.c_str());
  if (directory == nullptr) return;
  while (const dirent *entry = ::readdir(directory))
    if (is_file_named(entry->d_name, name) && std::string_view(entry->d_name).find(".so") != std::string_view::npos)
      files.add(fmt::format("{}/{}", folder, entry->d_name));
  ::closedir(directory);
}

void add_program(Files &files, std::string_view name, int32_t pid) {
  const char *path = pid == 0 ? ::getenv("PATH") : nullptr;
  for (std::string_view folders : {std::string_view(path == nullptr ? "" : path), kProgramFolders})
    for (std::string_view folder : split(folders, ':'))
      if (folder.starts_with('/') && files.empty()) files.add(fmt::format("{}/{}", folder, name));
}

tl::unexpected<Error> no_such_file(std::string_view name, const std::vector<CachedLibrary> &libraries) {
  std::vector<std::string_view> names;
  for (const CachedLibrary &library : libraries) {
    std::string_view known = library.name;
    names.push_back(known.substr(0, known.find(".so")));
    if (names.back().starts_with("lib")) names.push_back(names.back().substr(3));
  }
  std::string_view near = nearest(name, names);
  return fail(ErrorCode::kNotFound, fmt::format("no library or program '{}'", name),
              "it is neither in the dynamic linker's cache nor in a folder of programs",
              near.empty() ? "name a file by its path, or a process with -p" : fmt::format("did you mean '{}'?", near));
}

}  // namespace

bool is_file_named(std::string_view base_name, std::string_view short_name) {
  if (base_name == short_name) return true;
  if (short_name.empty()) return false;
  if ((short_name == "c" || short_name == "libc") && base_name.starts_with("ld-musl-")) return true;
  std::string_view rest = base_name;
  if (rest.starts_with(short_name))
    rest.remove_prefix(short_name.size());
  else if (rest.starts_with("lib") && rest.substr(3).starts_with(short_name))
    rest.remove_prefix(3 + short_name.size());
  else
    return false;
  if (rest.starts_with(".so")) return rest.size() == 3 || rest[3] == '.';
  // "libc.so" of "libc.so.6"
  if (rest.starts_with('.')) return short_name.ends_with(".so");
  // "libc-2.31.so": how glibc named its files before 2.34.
  return rest.size() > 1 && rest[0] == '-' && rest[1] >= '0' && rest[1] <= '9' &&
         rest.find(".so") != std::string_view::npos;
}

Result<std::vector<UserFile>> find_user_files(std::string_view name, int32_t pid) {
  std::optional<ProcessFiles> process;
  if (pid != 0) process = TRY(ProcessFiles::open(pid));
  if (name.find('/') != std::string_view::npos) {
    std::string path(name);
    bool in_process = pid != 0 && path.starts_with('/');
    Result<Fd> file = in_process ? open_in_root_of(pid, path) : open_regular(path);
    if (!file) return tl::unexpected(std::move(file).error());
    return std::vector<UserFile>{in_process ? file_of(path, pid) : UserFile{path, path}};
  }
  Files files(pid);
  if (process) add_mapped(files, name, *process);
  if (!files.empty()) return files.take();
  // Not loaded yet, or no process is named.
  std::vector<CachedLibrary> libraries = cached_libraries(pid);
  for (const CachedLibrary &library : libraries)
    if (is_file_named(library.name, name)) files.add(library.path);
  if (libraries.empty())
    for (std::string_view folder : kLibraryFolders) add_of_folder(files, name, folder, pid);
  if (files.empty()) add_program(files, name, pid);
  if (files.empty()) return no_such_file(name, libraries);
  return files.take();
}

}  // namespace waggle
