#include "base/result.h"

#include <cstring>

namespace waggle {

std::string Error::text() const {
  std::string text = "error: " + what + "\n";
  if (!why.empty()) text += "  why: " + why + "\n";
  if (!fix.empty()) text += "  fix: " + fix + "\n";
  return text;
}

tl::unexpected<Error> fail_errno(int error_number, std::string what, std::string fix) {
  ErrorCode code = ErrorCode::kFailed;
  if (error_number == ENOENT) code = ErrorCode::kNotFound;
  if (error_number == EPERM || error_number == EACCES) code = ErrorCode::kDenied;
  return fail(code, std::move(what), strerror(error_number), std::move(fix));
}

}  // namespace waggle
