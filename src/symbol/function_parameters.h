// What the functions of the kernel take, by its BTF: so that the registers of a
// call can be shown as the arguments they are.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "format/btf.h"

namespace waggle {

// A parameter that is passed in one register.
struct FunctionParameter {
  enum class Form : uint8_t { kUnsigned, kSigned, kBool, kPointer, kEnum };

  std::string name;  // "count"
  Form form = Form::kUnsigned;
  uint8_t bytes = 8;                                   // of the register that count
  std::vector<std::pair<int64_t, std::string>> names;  // of kEnum

  int64_t value(uint64_t register_value) const;         // cut to its bytes, sign-extended
  std::string_view enumerator(int64_t of_value) const;  // empty: no such name
};

// The parameters that come in registers, one each and in order, from the first to
// one that does not: a structure passed by value, or the seventh.
//   errors  NotFound  BTF has no such function
Result<std::vector<FunctionParameter>> function_parameters(const Btf &btf, std::string_view function);

// The same for a function of the running kernel, or of one of its modules. Holds
// BTF (some 6 MB) for the call only; takes 3 to 10 ms, so keep the answer.
//   errors  NotFound; Unsupported  the kernel has no BTF
Result<std::vector<FunctionParameter>> read_function_parameters(const std::string &function,
                                                                const std::string &module = {});

}  // namespace waggle
