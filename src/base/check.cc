#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace waggle::detail {

void check_failed(const char *condition, const char *file, int line) {
  fprintf(stderr, "waggle: bug: %s:%d: CHECK(%s) does not hold\n", file, line, condition);
  abort();
}

}  // namespace waggle::detail
