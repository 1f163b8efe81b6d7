#include "script/run/programs.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <linux/btf.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <memory>
#include <optional>

#include "base/check.h"
#include "codegen/load.h"
#include "kernel/kernel_btf.h"

namespace waggle::script {
namespace {

constexpr auto kUprobeMulti = static_cast<bpf_attach_type>(48);  // BPF_TRACE_UPROBE_MULTI, since 6.6

// Looks up what a program is loaded for, in BTF that is opened when the first one asks.
class BtfTargets {
 public:
  struct Target {
    uint32_t id = 0;
    Fd object;  // of a module's BTF, or of the program that is traced
  };

  Result<Target> find(const ConcreteProbe &probe) {
    const AttachPoint &point = probe.point;
    switch (probe.mechanism) {
      case Mechanism::kTpBtf:
        return find_in_kernel(BTF_KIND_TYPEDEF, "btf_trace_" + point.function, point.target);
      case Mechanism::kIterator:
        return find_in_kernel(BTF_KIND_FUNC, "bpf_iter_" + point.function, {});
      default:
        if (point.target == "bpf") return find_in_program(point);
        return find_in_kernel(BTF_KIND_FUNC, point.function, point.target);
    }
  }

 private:
  Result<const KernelBtf *> kernel() {
    if (!kernel_) kernel_ = std::make_unique<KernelBtf>(TRY(KernelBtf::load()));
    return kernel_.get();
  }

  Result<Target> find_in_kernel(uint32_t kind, const std::string &name, const std::string &module) {
    const KernelBtf *btf = TRY(kernel());
    if (module.empty() || module == "vmlinux")
      if (uint32_t id = btf->find(kind, name); id != 0) return Target{id, Fd()};
    for (const std::string &each : modules_with_btf()) {
      if (!module.empty() && each != module) continue;
      Result<KernelBtf> types = KernelBtf::load_module(each, *btf);
      if (!types) continue;
      if (uint32_t id = types->find(kind, name); id != 0) return Target{id, TRY(object_of_module(each))};
    }
    return fail(ErrorCode::kNotFound, fmt::format("this kernel's BTF has no {}", name));
  }

  static Result<Fd> object_of_module(const std::string &module) {
    uint32_t id = 0;
    while (bpf_btf_get_next_id(id, &id) == 0) {
      Fd object(bpf_btf_get_fd_by_id(id));
      if (!object.valid()) continue;
      char name[64] = {};
      bpf_btf_info info = {};
      info.name = reinterpret_cast<uint64_t>(name);
      info.name_len = sizeof(name);
      uint32_t bytes = sizeof(info);
      if (bpf_obj_get_info_by_fd(object.get(), &info, &bytes) == 0 && info.kernel_btf != 0 && module == name)
        return object;
    }
    return fail(ErrorCode::kNotFound, fmt::format("the kernel gives no BTF of the module {}", module));
  }

  static Result<Target> find_in_program(const AttachPoint &point) {
    uint32_t id = point.program_id;
    Fd program(bpf_prog_get_fd_by_id(id));
    if (!program.valid()) return fail_errno(errno, fmt::format("there is no BPF program {}", id));
    bpf_prog_info info = {};
    uint32_t bytes = sizeof(info);
    if (bpf_obj_get_info_by_fd(program.get(), &info, &bytes) != 0 || info.btf_id == 0)
      return fail(ErrorCode::kUnsupported, fmt::format("the BPF program {} has no BTF", id));
    Fd object(bpf_btf_get_fd_by_id(info.btf_id));
    bpf_btf_info types = {};
    bytes = sizeof(types);
    if (!object.valid() || bpf_obj_get_info_by_fd(object.get(), &types, &bytes) != 0)
      return fail_errno(errno, fmt::format("cannot read the BTF of the BPF program {}", id));
    std::vector<std::byte> content(types.btf_size);
    types = {};
    types.btf = reinterpret_cast<uint64_t>(content.data());
    types.btf_size = static_cast<uint32_t>(content.size());
    bytes = sizeof(types);
    if (bpf_obj_get_info_by_fd(object.get(), &types, &bytes) != 0)
      return fail_errno(errno, fmt::format("cannot read the BTF of the BPF program {}", id));
    KernelBtf btf = TRY(KernelBtf::from_bytes(content));
    uint32_t function = btf.find(BTF_KIND_FUNC, point.function);
    if (function == 0)
      return fail(ErrorCode::kNotFound, fmt::format("the BPF program {} has no function {}", id, point.function));
    return Target{function, std::move(program)};
  }

  std::unique_ptr<KernelBtf> kernel_;
};

struct Kind {
  bpf_prog_type type = BPF_PROG_TYPE_UNSPEC;
  bpf_attach_type attach = {};
  bool for_each_probe = false;  // it is loaded for one hook
};

Kind kind_of(const ConcreteProbe &probe) {
  switch (probe.mechanism) {
    // The one type that BPF_PROG_TEST_RUN runs without a packet, since 5.10.
    case Mechanism::kItself:
    case Mechanism::kRawTracepoint:
      return {BPF_PROG_TYPE_RAW_TRACEPOINT, {}, false};
    case Mechanism::kTracepoint:
      return {BPF_PROG_TYPE_TRACEPOINT, {}, false};
    case Mechanism::kTpBtf:
      return {BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, true};
    case Mechanism::kKprobe:
    case Mechanism::kUprobe:
    case Mechanism::kUsdt:
      return {BPF_PROG_TYPE_KPROBE, {}, false};
    case Mechanism::kKprobeMulti:
      return {BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI, false};
    case Mechanism::kUprobeMulti:
      return {BPF_PROG_TYPE_KPROBE, kUprobeMulti, false};
    case Mechanism::kFentry:
      return {BPF_PROG_TYPE_TRACING, is_return_probe(probe.point.provider) ? BPF_TRACE_FEXIT : BPF_TRACE_FENTRY, true};
    case Mechanism::kPerfEvent:
    case Mechanism::kWatchpoint:
      return {BPF_PROG_TYPE_PERF_EVENT, {}, false};
    case Mechanism::kIterator:
      return {BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER, true};
  }
  CHECK(false);
}

}  // namespace

codegen::Code stoppable(const codegen::Code &code, codegen::MapId word) {
  auto instruction = [](uint8_t op, uint8_t to, uint8_t from, int16_t offset, int32_t number) {
    bpf_insn made = {};
    made.code = op;
    made.dst_reg = to & 0xf;
    made.src_reg = from & 0xf;
    made.off = offset;
    made.imm = number;
    return made;
  };
  const bpf_insn before[] = {
      instruction(BPF_LD | BPF_IMM | BPF_DW, BPF_REG_0, BPF_PSEUDO_MAP_VALUE, 0, 0),
      instruction(0, 0, 0, 0, 0),
      instruction(BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_0, BPF_REG_0, 0, 0),
      instruction(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 2, 0),
      instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0),
      instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
  };
  constexpr auto kWords = static_cast<uint32_t>(std::size(before));
  codegen::Code made = code;
  made.instructions.insert(made.instructions.begin(), std::begin(before), std::end(before));
  // Jumps and calls say how far they go, which stays; what says where does not. The first
  // function and its first line begin with what was put before them.
  for (codegen::MapPlace &each : made.maps) each.instruction += kWords;
  for (codegen::LinePlace &each : made.lines)
    if (each.instruction != 0) each.instruction += kWords;
  for (codegen::Subprogram &each : made.subprograms)
    if (each.start != 0) each.start += kWords;
  made.maps.insert(made.maps.begin(), codegen::MapPlace{0, word});
  return made;
}

Loaded load_programs(const Script &script, const Sources &sources, const Lowered &lowered, std::span<const int> maps) {
  Loaded made;
  BtfTargets targets;
  CHECK(maps.size() == lowered.maps.size() + 1);
  auto word = static_cast<codegen::MapId>(lowered.maps.size());
  for (const LoweredProgram &each : lowered.programs) {
    const Program &program = script.programs[each.program];
    CHECK(!program.probes.empty());
    LoadedProgram loaded{&program, {}};
    std::optional<LoadFailure> failure;
    Mechanism mechanism = program.probes.front().mechanism;
    bool is_stoppable = mechanism != Mechanism::kItself && mechanism != Mechanism::kIterator;
    codegen::Code code = is_stoppable ? stoppable(each.code, word) : each.code;
    size_t times = kind_of(program.probes.front()).for_each_probe ? program.probes.size() : 1;
    for (size_t i = 0; i < times && !failure; i++) {
      const ConcreteProbe &probe = program.probes[i];
      Kind kind = kind_of(probe);
      const Source &source = sources.at(program.at.source);
      codegen::LoadRequest request;
      request.type = kind.type;
      request.expected_attach_type = kind.attach;
      request.name = program.name;
      request.license = script.config.license;
      request.source = {source.name, source.text};
      request.maps = maps;
      BtfTargets::Target target;
      if (kind.for_each_probe) {
        Result<BtfTargets::Target> found = targets.find(probe);
        if (!found) {
          failure = LoadFailure{&probe, std::move(found).error(), {}};
          break;
        }
        target = std::move(*found);
        request.attach_btf_id = target.id;
        if (target.object.valid()) request.attach_btf_object = target.object.get();
      }
      std::string log;
      Result<Fd> fd = codegen::load(code, request, &log);
      if (fd)
        loaded.loaded.push_back(std::move(*fd));
      else
        failure = LoadFailure{&probe, std::move(fd).error(), std::move(log)};
    }
    if (failure)
      made.failures.push_back(std::move(*failure));
    else
      made.programs.push_back(std::move(loaded));
  }
  return made;
}

}  // namespace waggle::script
