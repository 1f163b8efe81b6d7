#include "format/btf_writer.h"

#include <linux/btf.h>

#include <cstring>

namespace waggle {

uint32_t BtfWriter::string(std::string_view text) {
  if (text.empty()) return 0;
  auto [found, is_new] = offsets_.try_emplace(std::string(text), static_cast<uint32_t>(strings_.size()));
  if (is_new) strings_.append(text).push_back('\0');
  return found->second;
}

std::vector<std::byte> BtfWriter::bytes() const {
  btf_header header = {};
  header.magic = BTF_MAGIC;
  header.version = BTF_VERSION;
  header.hdr_len = sizeof(header);
  header.type_len = static_cast<uint32_t>(types_.size());
  header.str_off = header.type_len;
  header.str_len = static_cast<uint32_t>(strings_.size());
  std::vector<std::byte> all(sizeof(header) + types_.size() + strings_.size());
  memcpy(all.data(), &header, sizeof(header));
  memcpy(all.data() + sizeof(header), types_.data(), types_.size());
  memcpy(all.data() + sizeof(header) + types_.size(), strings_.data(), strings_.size());
  return all;
}

}  // namespace waggle
