#include "script/lower/lower.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "script/lower/plan.h"
#include "script/lower/usage.h"
#include "script/lower/writer.h"

namespace waggle::script {
namespace {

// Of all functions that are at work at a time, each rounded up, as the verifier counts.
constexpr uint32_t kStackBytesMost = 512, kStackRounding = 32;

// Programs that may come between another's reading and writing of a number.
bool may_interrupt(const Script &script) {
  return std::any_of(script.programs.begin(), script.programs.end(), [](const Program &program) {
    const ConcreteProbe &probe = program.probes.front();
    bool is_alone = probe.point.provider == Provider::kBegin || probe.point.provider == Provider::kEnd;
    return !is_alone && reentry_of(probe.mechanism) != Reentry::kNever;
  });
}

// The deepest chain of callbacks is at most all of them.
uint32_t stack_bytes(const codegen::Code &code) {
  uint32_t bytes = 0;
  for (const codegen::Subprogram &each : code.subprograms)
    bytes += std::max((each.stack_bytes + kStackRounding - 1) / kStackRounding * kStackRounding, kStackRounding);
  return bytes;
}

class ScriptLowering {
 public:
  ScriptLowering(const Script &script, const Sources &sources, const LowerOptions &options)
      : script_(script),
        sources_(sources),
        options_(options),
        plan_(script, options),
        may_interrupt_(may_interrupt(script)) {}

  Result<Lowered> run() {
    Lowered lowered;
    for (uint32_t i = 0; i < script_.programs.size(); i++) lowered.programs.push_back(TRY(program(i)));
    lowered.maps = plan_.take();
    return lowered;
  }

 private:
  Result<LoweredProgram> program(uint32_t index) {
    const Program &program = script_.programs[index];
    const Usage usage = usage_of(script_, program, options_);
    // What does not fit on the stack goes to scratch memory, smaller values each time.
    std::optional<Error> last;
    const auto wanted = static_cast<uint32_t>(std::min<uint64_t>(script_.config.on_stack_limit, 256));
    for (uint32_t limit : {wanted, std::min(wanted, 16u), 0u}) {
      Writer::Context context{script_, program,       sources_, options_, plan_, usage, plan_.next_scratch(),
                              limit,   may_interrupt_};
      Writer rehearsal(context, nullptr);
      TRY(rehearsal.write());
      Needs needs = rehearsal.found();
      Writer writer(context, &needs);
      LoweredProgram made;
      made.program = index;
      made.functions = TRY(writer.write());
      Result<codegen::Code> code = codegen::compile(made.functions);
      if (!code && code.error().code != ErrorCode::kExhausted) return tl::unexpected<Error>(std::move(code).error());
      if (!code) {
        last = std::move(code).error();
        continue;
      }
      if (stack_bytes(*code) > kStackBytesMost && limit > 0) continue;
      made.code = std::move(*code);
      plan_.need_zeros(needs.zero_bytes);
      if (needs.scratch_bytes > 0) {
        uint32_t levels = scratch_levels(program.probes.front().mechanism);
        plan_.add_scratch(program.name, needs.scratch_bytes, options_.processors * levels);
      }
      return made;
    }
    return tl::unexpected<Error>(std::move(*last));
  }

  const Script &script_;
  const Sources &sources_;
  const LowerOptions &options_;
  Plan plan_;
  const bool may_interrupt_;
};

}  // namespace

Result<Lowered> lower(const Script &script, const Sources &sources, const LowerOptions &options) {
  return ScriptLowering(script, sources, options).run();
}

}  // namespace waggle::script
