#include "symbol/function_parameters.h"

#include <fmt/format.h>

#include "kernel/kernel_btf.h"

namespace waggle {
namespace {

// source: System V ABI, x86-64 §3.2.3: integers and pointers come in six registers
constexpr size_t kRegisters = 6;

// Nothing for a parameter that does not come in one register.
std::optional<FunctionParameter> in_register(const Btf &btf, const BtfParameter &parameter) {
  using Form = FunctionParameter::Form;
  FunctionParameter found;
  found.name = parameter.name;
  BtfId id = btf.resolve(parameter.type);
  if (id == kBtfVoid) return std::nullopt;
  BtfType type = btf.type(id);
  std::optional<uint32_t> bytes = btf.size_of(id);
  if (!bytes || *bytes == 0 || *bytes > sizeof(uint64_t)) return std::nullopt;
  found.bytes = static_cast<uint8_t>(*bytes);
  if (type.kind == BtfKind::kPointer) {
    found.form = Form::kPointer;
  } else if (type.is_enum()) {
    found.form = Form::kEnum;
    for (BtfEnumerator each : btf.enumerators(id)) found.names.emplace_back(each.value, each.name);
  } else if (std::optional<BtfInteger> integer = btf.integer(id)) {
    found.form = integer->is_bool ? Form::kBool : integer->is_signed ? Form::kSigned : Form::kUnsigned;
  } else {
    return std::nullopt;
  }
  return found;
}

}  // namespace

int64_t FunctionParameter::value(uint64_t register_value) const {
  unsigned unused = 64 - 8 * bytes;
  uint64_t high = register_value << unused;
  bool extends = form == Form::kSigned || form == Form::kEnum;
  return extends ? static_cast<int64_t>(high) >> unused : static_cast<int64_t>(high >> unused);
}

std::string_view FunctionParameter::enumerator(int64_t of_value) const {
  for (const auto &[number, text] : names)
    if (number == of_value) return text;
  return {};
}

Result<std::vector<FunctionParameter>> function_parameters(const Btf &btf, std::string_view function) {
  BtfId id = btf.find(BtfKind::kFunction, function);
  if (id == kBtfVoid) return fail(ErrorCode::kNotFound, fmt::format("BTF has no function {}()", function));
  std::vector<FunctionParameter> found;
  for (BtfParameter parameter : btf.parameters(id)) {
    std::optional<FunctionParameter> one = in_register(btf, parameter);
    if (!one || found.size() == kRegisters) break;
    found.push_back(std::move(*one));
  }
  return found;
}

Result<std::vector<FunctionParameter>> read_function_parameters(const std::string &function,
                                                                const std::string &module) {
  KernelBtf vmlinux = TRY(KernelBtf::load());
  Btf types = TRY(Btf::parse(vmlinux.bytes()));
  if (module.empty()) return function_parameters(types, function);
  KernelBtf of_module = TRY(KernelBtf::load_module(module, vmlinux));
  Btf module_types = TRY(Btf::parse(of_module.bytes(), &types));
  return function_parameters(module_types, function);
}

}  // namespace waggle
