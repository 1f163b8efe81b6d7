// What --where says, of any bytes: what is accepted says the same of a row as a tree and as a program.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "codegen/interpret.h"
#include "filter/compile.h"
#include "filter/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace waggle;
  static const Schema schema = [] {
    Schema made{"fuzz", "", Shape::kStream, 96, 0, {}};
    auto add = [&](const char *name, Kind kind, uint32_t offset, uint32_t bytes, bool is_signed) {
      Column column;
      column.name = name;
      column.kind = kind;
      column.offset = offset;
      column.size = bytes;
      column.is_signed = is_signed;
      made.columns.push_back(column);
    };
    add("a", Kind::kDuration, 0, 8, false);
    add("b", Kind::kErrno, 8, 4, true);
    add("c", Kind::kOpenFlags, 12, 4, false);
    add("r", Kind::kIp, 16, 16, false);
    add("n", Kind::kComm, 32, 16, false);
    add("p", Kind::kPath, 48, 48, false);
    return made;
  }();
  alignas(8) static constexpr std::array<std::byte, 96> kRow = {std::byte{1}, std::byte{2}};
  static Host host;
  Result<filter::Node> node = filter::parse({reinterpret_cast<const char *>(data), size}, schema, host);
  if (!node || !filter::is_for_programs(*node)) return 0;
  codegen::Function function = filter::compile({*node}, schema);
  codegen::Interpreter interpreter({&function, 1}, {});
  std::vector<uint64_t> arguments = {reinterpret_cast<uint64_t>(kRow.data()), kRow.size()};
  Result<uint64_t> said = interpreter.run(arguments);
  CHECK(said && *said == (filter::holds(*node, kRow) ? 1u : 0u));
  return 0;
}
