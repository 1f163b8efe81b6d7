// The parts of expand(), by where the names come from. For expand.cc alone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "script/probes/expand.h"

namespace waggle::script {

Result<std::vector<ConcreteProbe>> expand_functions(const AttachPoint &point, const ExpandOptions &options,
                                                    Mechanism mechanism, const Kernel &kernel);
Result<std::vector<ConcreteProbe>> expand_bpf_programs(const AttachPoint &point);
Result<std::vector<ConcreteProbe>> expand_tracepoints(const AttachPoint &point, const Kernel &kernel);
Result<std::vector<ConcreteProbe>> expand_raw_tracepoints(const AttachPoint &point, const Kernel &kernel);
Result<std::vector<ConcreteProbe>> expand_iterators(const AttachPoint &point);
Result<std::vector<ConcreteProbe>> expand_user(const AttachPoint &point, const ExpandOptions &options);

// A probe of a concrete attach point.
ConcreteProbe probe_of(AttachPoint point);

// The error of a probe that does not exist.
//   near  names like it, as they would be written; may be empty
tl::unexpected<Error> no_such_probe(const AttachPoint &point, std::string_view why, std::string_view near);

// The name that a mistyped one most likely means; faster than nearest() where there
// are many, because those that are too long or short are passed over. May be empty.
std::string near_name(std::string_view word, const std::vector<std::string> &names);

}  // namespace waggle::script
