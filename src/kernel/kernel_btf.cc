#include "kernel/kernel_btf.h"

#include <dirent.h>
#include <linux/btf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "base/fd.h"

namespace waggle {
namespace {

constexpr char kDirectory[] = "/sys/kernel/btf/";
// vmlinux has 5 to 8 MB, the largest modules 1 MB.
constexpr size_t kBytesMost = 64u << 20;

// Bytes that follow a type's three words. Nothing for a kind that <linux/btf.h>
// does not have: what comes after it cannot be found.
std::optional<size_t> bytes_after(uint32_t kind, size_t vlen) {
  switch (kind) {
    case BTF_KIND_PTR:
    case BTF_KIND_FWD:
    case BTF_KIND_TYPEDEF:
    case BTF_KIND_VOLATILE:
    case BTF_KIND_CONST:
    case BTF_KIND_RESTRICT:
    case BTF_KIND_FUNC:
    case BTF_KIND_FLOAT:
    case BTF_KIND_TYPE_TAG:
      return 0;
    case BTF_KIND_INT:
      return sizeof(uint32_t);
    case BTF_KIND_ARRAY:
      return sizeof(btf_array);
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
      return vlen * sizeof(btf_member);
    case BTF_KIND_ENUM:
      return vlen * sizeof(btf_enum);
    case BTF_KIND_ENUM64:
      return vlen * sizeof(btf_enum64);
    case BTF_KIND_FUNC_PROTO:
      return vlen * sizeof(btf_param);
    case BTF_KIND_VAR:
      return sizeof(btf_var);
    case BTF_KIND_DATASEC:
      return vlen * sizeof(btf_var_secinfo);
    case BTF_KIND_DECL_TAG:
      return sizeof(btf_decl_tag);
    default:
      return std::nullopt;
  }
}

struct Bytes {
  std::span<const std::byte> bytes;
  bool mapped = false;
};

// The file as a mapping, of the file itself where that is possible.
Result<Bytes> map_file(const std::string &path) {
  Fd file = TRY(open_file(path));
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return fail_errno(errno, "cannot read " + path);
  auto size = static_cast<size_t>(status.st_size);
  if (size == 0 || size > kBytesMost)
    return fail(ErrorCode::kInvalid, "cannot read " + path, "its size is " + std::to_string(size) + " bytes");
  void *at = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (at != MAP_FAILED) return Bytes{{static_cast<const std::byte *>(at), size}, true};
  // A mapping rather than the heap: unmapping it is certain to give the memory back.
  at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return fail_errno(errno, "cannot read " + path);
  size_t used = 0;
  while (used < size) {
    ssize_t got = ::read(file.get(), static_cast<char *>(at) + used, size - used);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      int error_number = got < 0 ? errno : EIO;
      munmap(at, size);
      return fail_errno(error_number, "cannot read " + path);
    }
    used += static_cast<size_t>(got);
  }
  return Bytes{{static_cast<const std::byte *>(at), size}, false};
}

// Where in `strings` the whole string `name` begins; none when it is not there.
std::optional<uint32_t> offset_of(std::span<const std::byte> strings, std::string_view name) {
  if (strings.empty()) return std::nullopt;
  std::string needle;
  needle.reserve(name.size() + 2);
  needle += '\0';
  needle += name;
  needle += '\0';
  const void *found = memmem(strings.data(), strings.size(), needle.data(), needle.size());
  if (found == nullptr) return std::nullopt;
  return static_cast<uint32_t>(static_cast<const std::byte *>(found) - strings.data() + 1);
}

}  // namespace

Result<KernelBtf> KernelBtf::load() {
  Result<Bytes> file = map_file(std::string(kDirectory) + "vmlinux");
  if (!file && file.error().code == ErrorCode::kNotFound)
    return fail(ErrorCode::kUnsupported, "cannot read the kernel's types",
                "/sys/kernel/btf/vmlinux does not exist: this kernel has no BTF",
                "boot a kernel with CONFIG_DEBUG_INFO_BTF, as distributions build theirs since 2020");
  if (!file) return tl::unexpected(file.error());
  KernelBtf btf;
  btf.bytes_ = file->bytes;
  btf.mapped_ = file->mapped;
  btf.mapping_bytes_ = file->bytes.size();
  TRY(btf.read_header());
  return btf;
}

Result<KernelBtf> KernelBtf::load_module(std::string_view module, const KernelBtf &vmlinux) {
  if (module.find('/') != std::string_view::npos || module.empty())
    return fail(ErrorCode::kNotFound, "there is no kernel module '" + std::string(module) + "'");
  Bytes file = TRY(map_file(kDirectory + std::string(module)));
  KernelBtf btf;
  btf.bytes_ = file.bytes;
  btf.mapped_ = file.mapped;
  btf.mapping_bytes_ = file.bytes.size();
  btf.vmlinux_ = &vmlinux;
  TRY(btf.read_header());
  return btf;
}

Result<KernelBtf> KernelBtf::from_bytes(std::span<const std::byte> bytes, const KernelBtf *vmlinux) {
  KernelBtf btf;
  btf.bytes_ = bytes;
  btf.vmlinux_ = vmlinux;
  TRY(btf.read_header());
  return btf;
}

Result<void> KernelBtf::read_header() {
  auto invalid = [](std::string why) {
    return fail(ErrorCode::kInvalid, "cannot read the kernel's types", std::move(why));
  };
  btf_header header;
  if (bytes_.size() < sizeof(header)) return invalid("the BTF is shorter than its header");
  memcpy(&header, bytes_.data(), sizeof(header));
  if (header.magic != BTF_MAGIC) return invalid("the file does not begin with BTF's magic number");
  if (header.hdr_len < sizeof(header) || header.hdr_len > bytes_.size()) return invalid("the header's length is wrong");
  std::span<const std::byte> body = bytes_.subspan(header.hdr_len);
  auto section = [&](size_t offset, size_t length) -> std::optional<std::span<const std::byte>> {
    if (offset > body.size() || length > body.size() - offset) return std::nullopt;
    return body.subspan(offset, length);
  };
  auto types = section(header.type_off, header.type_len), strings = section(header.str_off, header.str_len);
  if (!types || !strings) return invalid("a section reaches beyond the end of the file");
  if (!strings->empty() && strings->back() != std::byte{0}) return invalid("the last string has no end");
  types_ = *types;
  strings_ = *strings;
  if (vmlinux_ != nullptr) first_string_ = static_cast<uint32_t>(vmlinux_->strings_.size());
  return {};
}

KernelBtf::KernelBtf(KernelBtf &&other) noexcept {
  *this = std::move(other);
}

KernelBtf &KernelBtf::operator=(KernelBtf &&other) noexcept {
  std::swap(bytes_, other.bytes_);
  std::swap(types_, other.types_);
  std::swap(strings_, other.strings_);
  std::swap(mapping_bytes_, other.mapping_bytes_);
  std::swap(mapped_, other.mapped_);
  std::swap(vmlinux_, other.vmlinux_);
  std::swap(first_string_, other.first_string_);
  return *this;
}

KernelBtf::~KernelBtf() {
  if (mapping_bytes_ != 0) munmap(const_cast<std::byte *>(bytes_.data()), mapping_bytes_);
}

std::string_view KernelBtf::name_at(uint32_t offset) const {
  if (offset < first_string_) return vmlinux_->name_at(offset);
  if (offset - first_string_ >= strings_.size()) return {};
  // The section ends with a NUL: read_header() has looked.
  return reinterpret_cast<const char *>(strings_.data()) + (offset - first_string_);
}

template <typename Visit>
uint32_t KernelBtf::walk(Visit visit) const {
  size_t at = 0;
  uint32_t seen = 0;
  while (types_.size() - at >= sizeof(btf_type)) {
    btf_type type;
    memcpy(&type, types_.data() + at, sizeof(type));
    at += sizeof(type);
    std::optional<size_t> after = bytes_after(BTF_INFO_KIND(type.info), BTF_INFO_VLEN(type.info));
    if (!after || *after > types_.size() - at) break;
    seen++;
    if (!visit(type)) break;
    at += *after;
  }
  return seen;
}

// Counting vmlinux's types takes 1 ms, so it is left until a module has an answer.
uint32_t KernelBtf::first_id() const {
  if (vmlinux_ == nullptr) return 1;
  return 1 + vmlinux_->walk([](const btf_type &) { return true; });
}

uint32_t KernelBtf::find(uint32_t kind, std::string_view name) const {
  if (name.empty()) return 0;
  // Tools that write BTF keep each string once, so that a type of this name has
  // this offset; a module shares those of vmlinux.
  std::optional<uint32_t> offset;
  if (vmlinux_ != nullptr) offset = offset_of(vmlinux_->strings_, name);
  if (!offset) {
    offset = offset_of(strings_, name);
    if (!offset) return 0;
    *offset += first_string_;
  }
  bool found = false;
  uint32_t seen = walk([&](const btf_type &type) {
    found = type.name_off == *offset && BTF_INFO_KIND(type.info) == kind;
    return !found;
  });
  return found ? first_id() + seen - 1 : 0;
}

std::vector<std::string> KernelBtf::names_after(std::string_view prefix) const {
  std::string needle(1, '\0');
  needle += prefix;
  std::vector<std::string> names;
  const std::byte *at = strings_.data();
  const std::byte *end = at + strings_.size();
  while (at < end) {
    const void *found = memmem(at, static_cast<size_t>(end - at), needle.data(), needle.size());
    if (found == nullptr) break;
    names.emplace_back(static_cast<const char *>(found) + needle.size());
    at = static_cast<const std::byte *>(found) + needle.size() + names.back().size();
  }
  return names;
}

void KernelBtf::each_function(const std::function<void(std::string_view, uint32_t)> &visit) const {
  // A function's parameters are counted in the prototype it refers to, which may
  // come later: note the counts first.
  std::vector<uint16_t> counts;
  walk([&](const btf_type &type) {
    bool prototype = BTF_INFO_KIND(type.info) == BTF_KIND_FUNC_PROTO;
    counts.push_back(prototype ? static_cast<uint16_t>(BTF_INFO_VLEN(type.info)) : 0);
    return true;
  });
  uint32_t first = first_id();
  walk([&](const btf_type &type) {
    if (BTF_INFO_KIND(type.info) != BTF_KIND_FUNC) return true;
    size_t index = type.type - first;
    visit(name_at(type.name_off), type.type >= first && index < counts.size() ? counts[index] : 0);
    return true;
  });
}

std::vector<std::string> modules_with_btf() {
  std::vector<std::string> names;
  std::unique_ptr<DIR, int (*)(DIR *)> directory(opendir(kDirectory), closedir);
  if (!directory) return names;
  while (const dirent *entry = readdir(directory.get())) {
    std::string_view name = entry->d_name;
    if (name != "vmlinux" && !name.starts_with('.')) names.emplace_back(name);
  }
  return names;
}

}  // namespace waggle
