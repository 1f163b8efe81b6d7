#include "codegen/load.h"

#include <bpf/bpf.h>
#include <fmt/format.h>

#include <cctype>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/text.h"

namespace waggle::codegen {
namespace {

// The most that kernels before 5.2 take; of a longer log newer kernels keep the end.
constexpr uint32_t kLogBytes = (16u << 20) - 1;
constexpr size_t kLogLinesInError = 24;
constexpr size_t kNameBytesMost = BPF_OBJ_NAME_LEN - 1;

// The kernel takes letters, digits, _ and . only.
std::string program_name(std::string_view name) {
  std::string made(name.substr(0, kNameBytesMost));
  for (char &each : made)
    if (std::isalnum(static_cast<unsigned char>(each)) == 0 && each != '_' && each != '.') each = '_';
  return made;
}

std::string last_lines(std::string_view log) {
  std::vector<std::string_view> lines = split(trim(log), '\n');
  std::string out;
  for (size_t i = lines.size() > kLogLinesInError ? lines.size() - kLogLinesInError : 0; i < lines.size(); i++)
    out += fmt::format("\n  {}", lines[i]);
  return out;
}

tl::unexpected<Error> refused(std::string_view name, int error_number, std::string_view log) {
  std::string what = fmt::format("the kernel refuses the program '{}'", name);
  if (error_number == EPERM && log.empty())
    return fail(ErrorCode::kDenied, std::move(what), strerror(error_number),
                "run as root, or with CAP_BPF and CAP_PERFMON");
  return fail(ErrorCode::kFailed, std::move(what), strerror(error_number) + last_lines(log));
}

}  // namespace

Result<Fd> load(const Code &code, const LoadRequest &request, std::string *log) {
  std::vector<bpf_insn> instructions = code.instructions;
  for (const MapPlace &each : code.maps) {
    CHECK(each.map < request.maps.size());
    instructions[each.instruction].imm = request.maps[each.map];
  }
  const std::string name = program_name(request.name);
  bpf_prog_load_opts options = {};
  options.sz = sizeof(options);
  options.expected_attach_type = request.expected_attach_type;
  options.prog_flags = request.flags;
  options.attach_btf_id = request.attach_btf_id;
  if (request.attach_btf_object != 0) options.attach_btf_obj_fd = static_cast<uint32_t>(request.attach_btf_object);

  ProgramBtf types = describe(code, request.source);
  // A kernel that does not take the types may still take the program.
  Fd type_object(bpf_btf_load(types.types.data(), types.types.size(), nullptr));
  if (type_object.valid()) {
    options.prog_btf_fd = static_cast<uint32_t>(type_object.get());
    options.func_info = types.functions.data();
    options.func_info_cnt = static_cast<uint32_t>(types.functions.size());
    options.func_info_rec_size = sizeof(bpf_func_info);
    options.line_info = types.lines.data();
    options.line_info_cnt = static_cast<uint32_t>(types.lines.size());
    options.line_info_rec_size = sizeof(bpf_line_info);
  }
  auto attempt = [&] {
    return bpf_prog_load(request.type, name.c_str(), request.license.c_str(), instructions.data(), instructions.size(),
                         &options);
  };
  Fd program(attempt());
  if (program.valid()) return program;

  auto text = std::make_unique_for_overwrite<char[]>(kLogBytes);
  text[0] = '\0';
  options.log_buf = text.get();
  options.log_size = kLogBytes;
  options.log_level = 1;
  program = Fd(attempt());
  // The first failure was a passing one.
  if (program.valid()) return program;
  int error_number = errno;
  if (log != nullptr) *log = text.get();
  return refused(name, error_number, text.get());
}

}  // namespace waggle::codegen
