#include "script/probes/arguments.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "kernel/kernel_btf.h"

namespace waggle::script {
namespace {

constexpr uint32_t kSlotBytes = 8;
constexpr uint32_t kByValueBytesMost = 16;  // that BPF trampolines pass

std::string_view without_qualifiers(std::string_view type) {
  for (bool again = true; again;) {
    again = false;
    type = trim(type);
    for (std::string_view word : {"const ", "volatile ", "__user ", "__rcu "})
      if (type.starts_with(word)) type.remove_prefix(word.size()), again = true;
    for (std::string_view word : {" const", "*const", " __user", " __rcu", " __seg_gs", " __percpu"})
      if (type.ends_with(word)) type.remove_suffix(word.size() - (word[0] == '*' ? 1 : 0)), again = true;
  }
  return type;
}

// Types of tracepoint fields, by the text of tracefs.
class FieldTypes {
 public:
  FieldTypes(std::string_view category, BtfTypes &types) : of_syscall_(category == "syscalls"), types_(types) {}

  Type of(const TracepointField &field) {
    if (field.place != TracepointField::Place::kHere)
      return Type::pointer(element(field.type, 0, field.is_signed), AddressSpace::kKernel);
    if (!field.is_array) return element(field.type, field.bytes, field.is_signed);
    uint32_t bytes = field.length == 0 ? 0 : field.bytes / field.length;
    if (without_qualifiers(field.type) == "char" && field.length > 0) return Type::string(field.length);
    return Type::array(element(field.type, bytes, field.is_signed), field.length);
  }

 private:
  //   bytes  that the record has for it; 0: unknown
  Type element(std::string_view text, uint32_t bytes, bool is_signed) {
    text = without_qualifiers(text);
    if (text.ends_with('*')) return pointer(text);
    if (text.starts_with("struct ") || text.starts_with("union ") || text.starts_with("enum ")) {
      Type type = types_.resolve(text);
      bool found = type.is(TypeKind::kRecord) || type.is(TypeKind::kEnum);
      return found && (bytes == 0 || type.bytes() <= bytes) ? type : of_bytes(bytes, is_signed);
    }
    // A system call's argument fills a whole register, whatever the width of its type.
    if (std::optional<Type> known = c_integer(text); known && (bytes == 0 || known->bytes() <= bytes)) return *known;
    bool is_plain = bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
    if (is_plain && !of_syscall_) return of_bytes(bytes, is_signed);
    Type type = types_.resolve(text);
    if (!type.is(TypeKind::kNone) && !type.is(TypeKind::kVoid) && (bytes == 0 || type.bytes() <= bytes)) return type;
    return of_bytes(bytes, is_signed);
  }

  Type pointer(std::string_view text) {
    Type pointee = pointee_of(without_qualifiers(text.substr(0, text.size() - 1)));
    return Type::pointer(pointee, of_syscall_ ? AddressSpace::kUser : AddressSpace::kNone);
  }

  Type pointee_of(std::string_view text) {
    if (text.ends_with('*')) return pointer(text);
    if (text == "void" || text.empty()) return Type(TypeKind::kVoid);
    if (std::optional<Type> known = c_integer(text)) return *known;
    // As BtfTypes does it, the record behind the pointer is only named.
    Type type = types_.resolve(std::string(text) + " *");
    return type.is(TypeKind::kPointer) ? type.element() : Type(TypeKind::kVoid);
  }

  static Type of_bytes(uint32_t bytes, bool is_signed) {
    if (bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8) return Type::integer(bytes, is_signed);
    return Type::array(Type::integer(1, false), bytes);
  }

  bool of_syscall_;
  BtfTypes &types_;
};

std::string declaration_of(const TracepointField &field) {
  switch (field.place) {
    case TracepointField::Place::kFromRecord:
      return fmt::format("__data_loc {}[] {}", field.type, field.name);
    case TracepointField::Place::kFromField:
      return fmt::format("__rel_loc {}[] {}", field.type, field.name);
    case TracepointField::Place::kHere:
      break;
  }
  if (!field.is_array) return fmt::format("{} {}", field.type, field.name);
  return field.length == 0 ? fmt::format("{} {}[]", field.type, field.name)
                           : fmt::format("{} {}[{}]", field.type, field.name, field.length);
}

Argument::Place place_of(TracepointField::Place place) {
  switch (place) {
    case TracepointField::Place::kFromRecord:
      return Argument::Place::kFromRecord;
    case TracepointField::Place::kFromField:
      return Argument::Place::kFromWord;
    case TracepointField::Place::kHere:
      break;
  }
  return Argument::Place::kContext;
}

// The parameters of a prototype from `first` on, one slot after the other.
Result<Arguments> slots_of(const Btf &btf, BtfId prototype, uint32_t first, BtfTypes &types, const std::string &what) {
  Arguments arguments;
  uint32_t slot = 0;
  BtfList<BtfParameter> parameters = btf.parameters(prototype);
  for (uint32_t i = first; i < parameters.size(); i++) {
    BtfParameter parameter = parameters[i];
    if (parameter.type == kBtfVoid) break;  // "..."
    Argument argument;
    argument.name = parameter.name.empty() ? fmt::format("arg{}", i - first) : std::string(parameter.name);
    argument.declaration = fmt::format("{} {}", btf.type_name(parameter.type), argument.name);
    argument.type = types.convert(btf, parameter.type);
    argument.offset = slot * kSlotBytes;
    uint32_t bytes = btf.size_of(parameter.type).value_or(kSlotBytes);
    if (bytes > kByValueBytesMost)
      return fail(ErrorCode::kUnsupported, fmt::format("the arguments of {} cannot be read", what),
                  fmt::format("'{}' is passed by value and has {} bytes; {} is the most", argument.name, bytes,
                              kByValueBytesMost),
                  "use a kprobe, and registers");
    slot += std::max(1u, (bytes + kSlotBytes - 1) / kSlotBytes);
    arguments.parameters.push_back(std::move(argument));
  }
  std::optional<BtfId> returned = btf.returned(prototype);
  if (returned && btf.resolve(*returned) != kBtfVoid) {
    std::string declaration = btf.type_name(*returned) + " retval";
    arguments.returned = Argument{"retval",          std::move(declaration),    types.convert(btf, *returned),
                                  slot * kSlotBytes, Argument::Place::kContext, true};
  }
  return arguments;
}

}  // namespace

const Argument *Arguments::find(std::string_view name) const {
  for (const Argument &each : parameters)
    if (each.name == name) return &each;
  return nullptr;
}

Arguments tracepoint_arguments(const TracepointFormat &format, std::string_view category, BtfTypes &types) {
  FieldTypes field_types(category, types);
  Arguments arguments;
  for (const TracepointField &field : format.fields)
    arguments.parameters.push_back({field.name, declaration_of(field), field_types.of(field), field.offset,
                                    place_of(field.place), !field.is_common});
  return arguments;
}

Result<Arguments> tracepoint_arguments(const Tracefs &tracefs, std::string_view category, std::string_view name,
                                       BtfTypes &types) {
  std::string text = TRY(tracefs.format(category, name));
  TracepointFormat format = TRY(parse_tracepoint_format(text));
  return tracepoint_arguments(format, category, types);
}

Result<Arguments> function_arguments(std::string_view function, std::string_view module, BtfTypes &types) {
  TRY(types.kernel());
  BtfTypes::Found found = types.find(BtfKind::kFunction, function, module);
  if (found.btf == nullptr)
    return fail(ErrorCode::kNotFound, fmt::format("BTF describes no function {}()", function),
                module.empty() ? std::string() : fmt::format("looked for in {}", module),
                "kprobe:FUNCTION has its arguments as arg0, arg1, …");
  return slots_of(*found.btf, found.id, 0, types, std::string(function) + "()");
}

Result<Arguments> raw_tracepoint_arguments(std::string_view name, std::string_view module, BtfTypes &types) {
  TRY(types.kernel());
  BtfTypes::Found found = types.find(BtfKind::kTypedef, fmt::format("btf_trace_{}", name), module);
  if (found.btf == nullptr)
    return fail(ErrorCode::kNotFound, fmt::format("this kernel has no raw tracepoint {}", name), {},
                "-l 'rawtracepoint:*'      lists them");
  // The typedef, a pointer to a function, has no names for the parameters; the function
  // that calls what is attached has.
  for (std::string_view prefix : {"__probestub_", "__traceiter_", "__bpf_trace_"}) {
    BtfId function = found.btf->find(BtfKind::kFunction, fmt::format("{}{}", prefix, name));
    if (function == kBtfVoid) continue;
    Arguments arguments = TRY(slots_of(*found.btf, function, 1, types, std::string(name)));
    arguments.returned.reset();
    return arguments;
  }
  BtfType pointer = found.btf->type(found.btf->resolve(found.id));
  Arguments arguments = TRY(slots_of(*found.btf, found.btf->resolve(pointer.target), 1, types, std::string(name)));
  arguments.returned.reset();
  return arguments;
}

Result<Arguments> iterator_arguments(std::string_view iterator, BtfTypes &types) {
  TRY(types.kernel());
  BtfTypes::Found found = types.find(BtfKind::kFunction, fmt::format("bpf_iter_{}", iterator));
  BtfTypes::Found context = types.find(BtfKind::kStruct, fmt::format("bpf_iter__{}", iterator));
  if (found.btf == nullptr || context.btf == nullptr)
    return fail(ErrorCode::kNotFound, fmt::format("iter {} not available for your kernel version", iterator), {},
                "-l 'iter:*'      lists them");
  Arguments arguments = TRY(slots_of(*found.btf, found.id, 0, types, std::string(iterator)));
  arguments.returned.reset();
  if (!arguments.parameters.empty()) arguments.parameters[0].is_listed = false;
  return arguments;
}

Result<std::vector<std::string>> iterator_names() {
  KernelBtf btf = TRY(KernelBtf::load());
  std::vector<std::string> names = btf.names_after("bpf_iter__");
  // Of the verifier's own: "task__safe_trusted".
  std::erase_if(names, [](const std::string &name) { return name.find("__") != std::string::npos; });
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace waggle::script
