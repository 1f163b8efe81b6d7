// Errors as values. Result<T> is either a T or an Error that says what went
// wrong, why, and what the operator can do about it. Nothing in waggle throws;
// libraries that do are caught where they are called.
#pragma once

#include <cstdint>
#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace waggle {

enum class ErrorCode : uint8_t {
  kFailed,       // the operation did not succeed; `why` holds the system's reason
  kNotFound,     // the named thing does not exist
  kUnsupported,  // this kernel or build cannot do it
  kDenied,       // privileges are missing
  kInvalid,      // the input is malformed or out of its limits
  kExhausted,    // a limit was reached: memory, map entries, bytes of input
  kMisuse,       // the command line is wrong (exit status 2)
};

// One message for the operator. `what` is a sentence without a full stop and
// without a prefix; `why` and `fix` may be empty.
struct Error {
  ErrorCode code = ErrorCode::kFailed;
  std::string what;
  std::string why;
  std::string fix;

  // "error: <what>\n  why: <why>\n  fix: <fix>\n", leaving out empty lines.
  std::string text() const;
};

template <typename T>
using Result = tl::expected<T, Error>;

// Makes the failed alternative of any Result.
inline tl::unexpected<Error> fail(ErrorCode code, std::string what, std::string why = {}, std::string fix = {}) {
  return tl::unexpected<Error>(Error{code, std::move(what), std::move(why), std::move(fix)});
}

// The same for a failed system call: `why` is strerror(error_number).
tl::unexpected<Error> fail_errno(int error_number, std::string what, std::string fix = {});

namespace detail {
template <typename T>
T take_value(Result<T> &&result) {
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}
}  // namespace detail

// Evaluates to the value of a Result, or returns its Error from the enclosing function.
#define TRY(expression)                                                                       \
  __extension__({                                                                             \
    auto try_result_ = (expression);                                                          \
    if (!try_result_) return tl::unexpected<::waggle::Error>(std::move(try_result_).error()); \
    ::waggle::detail::take_value(std::move(try_result_));                                     \
  })

}  // namespace waggle
