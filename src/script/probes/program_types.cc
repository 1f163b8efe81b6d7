#include "script/probes/program_types.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "format/dwarf_btf.h"

namespace waggle::script {
namespace {

constexpr uint32_t kSlotBytes = 8, kBitsOfByte = 8;
constexpr uint32_t kRegisters = 6;
constexpr uint32_t kRegisterBytesMost = 16;  // what is larger is passed on the stack
constexpr unsigned kDepthMost = 16;

// What the eight bytes at [0, 8) and [8, 16) of a value hold.
struct Words {
  bool has_number[2] = {}, has_float[2] = {};
};

void add_words(const Btf &btf, BtfId id, uint64_t at, Words &words, unsigned depth) {
  if (depth > kDepthMost || at >= kRegisterBytesMost) return;
  BtfType type = btf.type(btf.resolve(id));
  switch (type.kind) {
    case BtfKind::kStruct:
    case BtfKind::kUnion:
      for (BtfMember member : btf.members(type.id))
        add_words(btf, member.type, at + member.bit_offset / kBitsOfByte, words, depth + 1);
      break;
    case BtfKind::kArray: {
      uint32_t bytes = btf.size_of(type.target).value_or(0);
      for (uint32_t i = 0; bytes > 0 && i < std::min(btf.array_length(type.id), kRegisterBytesMost); i++)
        add_words(btf, type.target, at + uint64_t{i} * bytes, words, depth + 1);
      break;
    }
    default:
      (type.kind == BtfKind::kFloat ? words.has_float : words.has_number)[at / kSlotBytes] = true;
      if (type.bytes > kSlotBytes) words.has_number[1] = true;  // __int128
  }
}

// Gives parameters their places, one after the other.
class Places {
 public:
  void place(const Btf &btf, BtfId id, Argument &argument) {
    BtfType type = btf.type(btf.resolve(id));
    uint32_t bytes = std::max(btf.size_of(id).value_or(kSlotBytes), 1u);
    uint32_t slots = (bytes + kSlotBytes - 1) / kSlotBytes;
    // long double and __int128, at multiples of 16 bytes.
    bool is_wide = !type.is_record() && bytes > kSlotBytes;
    if (type.kind == BtfKind::kFloat) {
      // long double is on the stack, others are in registers of their own.
      if (is_wide) stack_ += stack_ % 2 + slots;
      argument.place = Argument::Place::kNowhere;
      return;
    }
    uint32_t wanted = 0;
    if (bytes <= kRegisterBytesMost) {
      Words words;
      add_words(btf, id, 0, words, 0);
      wanted = (words.has_number[0] ? 1u : 0u) + (words.has_number[1] ? 1u : 0u);
      bool is_floats = wanted == 0 && (words.has_float[0] || words.has_float[1]);
      if (is_floats) return;
    }
    if (wanted > 0 && registers_ + wanted <= kRegisters) {
      argument.offset = registers_ * kSlotBytes;
      registers_ += wanted;
      return;
    }
    if (is_wide) stack_ += stack_ % 2;
    argument.offset = (kRegisters + stack_) * kSlotBytes;
    stack_ += slots;
  }

 private:
  uint32_t registers_ = 0, stack_ = 0;
};

Arguments arguments_of(const Btf &btf, BtfId function, BtfTypes &types) {
  Arguments arguments;
  Places places;
  uint32_t number = 0;
  for (BtfParameter parameter : btf.parameters(function)) {
    if (parameter.type == kBtfVoid) break;  // "..."
    Argument argument;
    argument.name = parameter.name.empty() ? fmt::format("arg{}", number) : std::string(parameter.name);
    argument.declaration = fmt::format("{} {}", btf.type_name(parameter.type), argument.name);
    argument.type = types.convert(btf, parameter.type);
    places.place(btf, parameter.type, argument);
    arguments.parameters.push_back(std::move(argument));
    number++;
  }
  return arguments;
}

}  // namespace

Result<void> ProgramTypes::open() {
  if (!opened_) opened_ = read();
  return *opened_;
}

Result<void> ProgramTypes::read() {
  sections_ = TRY(read_debug_sections(path_, shown_, pid_));
  if (!sections_.btf.empty()) {
    if (add_part(std::move(sections_.btf)) != nullptr) return {};
    return fail(ErrorCode::kInvalid, fmt::format("the BTF of {} is malformed", shown_));
  }
  dwarf_ = TRY(Dwarf::parse(sections_.dwarf()));
  return {};
}

ProgramTypes::Part *ProgramTypes::add_part(std::vector<std::byte> bytes) {
  Part part{std::move(bytes), nullptr, nullptr};
  // The bytes stay where they are as the vector is moved.
  Result<Btf> btf = Btf::parse(part.bytes);
  if (!btf) return nullptr;
  part.btf = std::make_unique<Btf>(std::move(*btf));
  part.types = std::make_unique<BtfTypes>(*part.btf);
  return &parts_.emplace_back(std::move(part));
}

ProgramTypes::Part *ProgramTypes::part_of(DwarfOffset root) {
  auto [known, is_new] = known_.try_emplace(root, nullptr);
  if (is_new) known->second = add_part(btf_of_dwarf(*dwarf_, root));
  return known->second;
}

// As the file was linked; 0: nowhere.
uint64_t ProgramTypes::address_of(uint64_t file_offset) const {
  for (const ElfSegment &segment : sections_.segments)
    if (segment.executable && file_offset >= segment.offset && file_offset - segment.offset < segment.file_bytes)
      return file_offset - segment.offset + segment.address;
  return 0;
}

Result<Arguments> ProgramTypes::arguments(const UserProbe &place) {
  TRY(open());
  Part *part = nullptr;
  BtfId function = kBtfVoid;
  if (dwarf_) {
    DwarfOffset found = dwarf_->find_function(place.name, address_of(place.offset));
    if (found != kDwarfNone) {
      last_ = found;
      part = part_of(found);
      function = kDwarfRoot;
    }
  } else {
    part = &parts_.front();
    function = part->btf->find(BtfKind::kFunction, place.name);
  }
  if (part == nullptr || function == kBtfVoid)
    return fail(ErrorCode::kNotFound,
                fmt::format("the debug information of {} has no function '{}'", shown_, place.name), {},
                "use arg0, arg1, …");
  return arguments_of(*part->btf, function, *part->types);
}

Type ProgramTypes::resolve(std::string_view name) {
  if (auto known = resolved_.find(name); known != resolved_.end()) return known->second;
  Type &type = resolved_[std::string(name)];
  if (!open()) return type;
  if (!dwarf_) return type = parts_.front().types->resolve(name);
  struct Keyword {
    std::string_view text;
    DwarfTypeWord word;
  };
  constexpr Keyword kKeywords[] = {
      {"struct ", DwarfTypeWord::kStruct}, {"union ", DwarfTypeWord::kUnion}, {"enum ", DwarfTypeWord::kEnum}};
  DwarfTypeWord word = DwarfTypeWord::kAny;
  std::string_view wanted = name;
  for (const Keyword &each : kKeywords)
    if (name.starts_with(each.text)) word = each.word, wanted = trim(name.substr(each.text.size()));
  DwarfOffset found = dwarf_->find_type(word, wanted, last_);
  if (found == kDwarfNone) return type;
  Part *part = part_of(found);
  if (part == nullptr) return type;
  return type = part->types->convert(*part->btf, kDwarfRoot);
}

bool ProgramTypes::has_made(const Type &type) const {
  return std::any_of(parts_.begin(), parts_.end(), [&](const Part &part) { return part.types.get() == type.origin(); });
}

Type ProgramTypes::complete(const Type &type) {
  for (Part &part : parts_) {
    if (part.types.get() != type.origin()) continue;
    Type full = part.types->complete(type);
    if (!full.fields().empty()) return full;
  }
  // It is only declared there: another unit defines it.
  Type full = resolve(type.name());
  return full.is(TypeKind::kRecord) ? full : type;
}

}  // namespace waggle::script
