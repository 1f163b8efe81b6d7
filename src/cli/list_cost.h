// waggle list sensors --cost: what each sensor takes of this host.
#pragma once

#include <chrono>

namespace waggle {

// Runs every sensor that needs no target for a while, all at once, and prints what
// its programs cost, the dearest first. Returns the exit status.
int list_costs(bool json, std::chrono::nanoseconds duration);

}  // namespace waggle
