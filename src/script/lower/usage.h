// What a program does with its variables: where each can live follows from it. For lower()
// alone.
#pragma once

#include <cstdint>
#include <vector>

#include "script/lower/lower.h"
#include "script/program/program.h"

namespace waggle::script {

struct VariableUsage {
  bool is_used = false;
  bool in_callback = false;  // the body of a loop that is a function of its own
  bool has_address = false;  // &$x
  // May be read before it is assigned: it begins as zeros.
  bool needs_zero = true;
  // All its values are zeros behind the NULs of strings, as keys of maps must be.
  bool is_clean = true;
};

struct Usage {
  std::vector<VariableUsage> variables;
  bool has_callbacks = false;
};

Usage usage_of(const Script &script, const Program &program, const LowerOptions &options);

// Whether kForRange and kWhile become functions that bpf_loop calls.
bool loops_by_callback(const Step &step, const LowerOptions &options);

// Whether a node's value has zeros behind the NULs of its strings. `variables` says so of
// variables.
bool is_clean(const Node &node, const std::vector<VariableUsage> &variables);
// Whether the type has strings or buffers in it, whose ends may differ where their texts do not.
bool has_text(const Type &type);

// Calls visit(node) for it and all below, steps' nodes included.
template <typename Visit>
void visit_nodes(const Node &node, Visit visit);
template <typename Visit>
void visit_nodes(const Step &step, Visit visit) {
  for (const Node *each : {step.key, step.value, step.end, step.times})
    if (each != nullptr) visit_nodes(*each, visit);
  for (const Step *each : step.body) visit_nodes(*each, visit);
  for (const Step *each : step.otherwise) visit_nodes(*each, visit);
}
template <typename Visit>
void visit_nodes(const Node &node, Visit visit) {
  visit(node);
  for (const Node *each : node.in) visit_nodes(*each, visit);
  for (const Step *each : node.body) visit_nodes(*each, visit);
}

}  // namespace waggle::script
