// printf of any format to arguments of any types and any bytes. The first bytes choose the
// types, then comes the format to the first NUL, and the rest is the row.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "script/output/fake_resolver.h"
#include "script/output/printf.h"

namespace {

using namespace waggle::script;

constexpr size_t kArgumentsMost = 8;

Type type_of(uint8_t choice) {
  Type int32 = Type::integer(4, true);
  switch (choice % 16) {
    case 0:
      return Type::integer(8, true);
    case 1:
      return Type::integer(uint32_t{1} << (choice / 16 % 4), choice >= 128);
    case 2:
      return Type::string(choice);
    case 3:
      return Type::buffer(choice);
    case 4:
      return Type::pointer(int32);
    case 5:
      return Type::array(int32, choice / 16);
    case 6:
      return Type::tuple({{"", int32}, {choice >= 128 ? "b" : "", Type::string(5)}});
    case 7:
      return Type::stack(TypeKind::kUserStack, static_cast<StackMode>(choice / 16 % 4), 3);
    case 8:
      return Type::enumeration("color", 4, {{"red", 0}, {"blue", 7}});
    case 9:
      return Type(TypeKind::kInet, 24);
    case 10:
      return Type(TypeKind::kMacAddress, 6);
    case 11:
      return Type(TypeKind::kTimestamp, 16);
    case 12:
      return Type(TypeKind::kErrno, 8);
    case 13:
      return Type(TypeKind::kBool, 1);
    case 14:
      return Type::aggregate(TypeKind::kSum, choice >= 128);
    default:
      return Type(TypeKind::kUserSymbol, 16);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  size_t count = std::min<size_t>(data[0] % (kArgumentsMost + 1), size - 1);
  std::vector<Type> types;
  for (size_t i = 0; i < count; i++) types.push_back(type_of(data[1 + i]));
  std::string_view rest(reinterpret_cast<const char *>(data) + 1 + count, size - 1 - count);
  size_t end = std::min(rest.find('\0'), rest.size());
  std::string_view format = rest.substr(0, end), bytes = rest.substr(std::min(end + 1, rest.size()));

  auto compiled = Format::compile("printf", format, types);
  if (!compiled) {
    CHECK(compiled.error().begin <= compiled.error().end && compiled.error().end <= format.size());
    CHECK(compiled.error().argument < static_cast<int>(count));
    return 0;
  }
  CHECK(compiled->row().fields().size() == count);
  std::vector<std::byte> row(compiled->row().bytes());
  if (!bytes.empty() && !row.empty()) std::memcpy(row.data(), bytes.data(), std::min(row.size(), bytes.size()));
  FakeResolver resolver;
  std::string text;
  compiled->append(text, row, resolver);
  // A conversion makes at most its width or precision, or what its value needs.
  CHECK(text.size() <= format.size() + count * (2 * kFormatWidthMost + 4096));
  return 0;
}
