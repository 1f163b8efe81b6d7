#include "sensor/filter_place.h"

#include <elf.h>
#include <gelf.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "base/check.h"

namespace waggle {
namespace {

constexpr bpf_insn kNothing{BPF_JMP | BPF_JA, 0, 0, 0, 0};
constexpr bpf_insn kZero{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0};
constexpr bpf_insn kExit{BPF_JMP | BPF_EXIT, 0, 0, 0, 0};

// Where the bytes of a function are.
std::optional<std::span<std::byte>> function_in(std::span<std::byte> elf, std::string_view name) {
  elf_version(EV_CURRENT);
  Elf *file = elf_memory(reinterpret_cast<char *>(elf.data()), elf.size());
  CHECK(file != nullptr);
  std::optional<std::span<std::byte>> found;
  for (Elf_Scn *section = nullptr; !found && (section = elf_nextscn(file, section)) != nullptr;) {
    GElf_Shdr header;
    CHECK(gelf_getshdr(section, &header) != nullptr);
    if (header.sh_type != SHT_SYMTAB) continue;
    Elf_Data *data = elf_getdata(section, nullptr);
    CHECK(data != nullptr);
    GElf_Sym symbol;
    for (int i = 0; gelf_getsym(data, i, &symbol) != nullptr; i++) {
      const char *symbol_name = elf_strptr(file, header.sh_link, symbol.st_name);
      if (symbol_name == nullptr || name != symbol_name || GELF_ST_TYPE(symbol.st_info) != STT_FUNC) continue;
      GElf_Shdr code;
      CHECK(gelf_getshdr(elf_getscn(file, symbol.st_shndx), &code) != nullptr);
      found = elf.subspan(code.sh_offset + symbol.st_value, symbol.st_size);
      break;
    }
  }
  elf_end(file);
  return found;
}

}  // namespace

void place_filter(std::span<std::byte> elf, std::string_view function, std::span<const bpf_insn> instructions) {
  if (instructions.empty()) return;
  CHECK(instructions.size() <= kFilterInstructionsMost);
  std::optional<std::span<std::byte>> room = function_in(elf, function);
  if (!room) return;
  size_t words = room->size() / sizeof(bpf_insn);
  std::vector<bpf_insn> body = {kZero};
  // The way to the room that is left: never taken, and gone when the verifier has seen so.
  body.push_back({BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, static_cast<int16_t>(instructions.size()), 0});
  body.insert(body.end(), instructions.begin(), instructions.end());
  CHECK(body.size() < words);
  body.resize(words - 1, kNothing);
  body.push_back(kExit);
  memcpy(room->data(), body.data(), room->size());
}

}  // namespace waggle
