#include "symbol/debug_file.h"

#include <vector>

#include "symbol/files.h"

namespace waggle {
namespace {

// A checksum of this many bytes takes 0.3 s, and whoever asked waits for it.
constexpr uint64_t kChecksumBytesMost = 128 << 20;

struct Candidate {
  std::string path;
  bool by_checksum;
};

std::vector<Candidate> candidates(const ElfFile &stripped, const Result<ElfDebugLink> &link, const std::string &path,
                                  const std::string &debug_directory) {
  std::vector<Candidate> found;
  const std::string &id = stripped.build_id();
  if (id.size() > 2)
    found.push_back({debug_directory + "/.build-id/" + id.substr(0, 2) + "/" + id.substr(2) + ".debug", false});
  if (link && path.starts_with('/')) {
    std::string directory = path.substr(0, path.rfind('/'));
    found.push_back({directory + "/" + link->file_name, id.empty()});
    found.push_back({directory + "/.debug/" + link->file_name, id.empty()});
    found.push_back({debug_directory + directory + "/" + link->file_name, id.empty()});
  }
  return found;
}

Result<std::unique_ptr<ElfFile>> open_candidate(Fd file, const ElfFile &stripped, const uint32_t *crc32) {
  std::unique_ptr<ElfBytes> bytes = TRY(elf_bytes(std::move(file)));
  if (crc32 != nullptr && (bytes->size() > kChecksumBytesMost || TRY(crc32_of(*bytes)) != *crc32))
    return fail(ErrorCode::kNotFound, "the debug file is of another build");
  ElfFile debug = TRY(ElfFile::open(std::move(bytes)));
  if (!debug.has_symtab() || debug.build_id() != stripped.build_id())
    return fail(ErrorCode::kNotFound, "the debug file is of another build");
  return std::make_unique<ElfFile>(std::move(debug));
}

}  // namespace

std::unique_ptr<ElfFile> find_debug_file(const ElfFile &stripped, const std::string &path,
                                         const std::string &debug_directory, int32_t pid) {
  Result<ElfDebugLink> link = stripped.debug_link();
  for (const Candidate &candidate : candidates(stripped, link, path, debug_directory)) {
    for (bool in_container : {true, false}) {
      Result<Fd> file = in_container ? open_in_root_of(pid, candidate.path) : open_regular(candidate.path);
      if (!file) continue;
      if (auto debug = open_candidate(std::move(*file), stripped, candidate.by_checksum ? &link->crc32 : nullptr))
        return std::move(*debug);
    }
  }
  return nullptr;
}

}  // namespace waggle
