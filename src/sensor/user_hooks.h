// A sensor's hooks at many places: sections "uprobe/FILE:FUNCTION",
// "uretprobe/FILE:FUNCTION" and "usdt/FILE:PROVIDER:NAME" in user space, and
// "tracepoint/CATEGORY:NAME" in the kernel, each of which may mean many. Finds the
// places, numbers them for the programs (sensors/include/waggle/user.h), and attaches.
//
// With a pid only that process gets the breakpoints; without one every process
// that has the file mapped, now or later.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "symbol/user_probes.h"

struct bpf_link;
struct bpf_object;
struct bpf_program;

namespace waggle {

class UserHooks {
 public:
  static bool is_user_section(std::string_view section);

  explicit UserHooks(int32_t pid = 0) : pid_(pid) {}

  // Finds the places of a section.
  //   errors  as of find_user_functions() and find_usdt_probes();
  //           Exhausted  more places than can be attached
  //           Invalid    a return that must not be waited for
  Result<void> find(const std::string &section);

  // Before load: makes room for what fill() writes.
  void prepare(bpf_object *object) const;
  // After load: writes names and arguments of the places into the object's maps.
  Result<void> fill(bpf_object *object) const;

  // Attaches to all places of a section that find() was asked for; of several, those
  // that can be.
  //   lacks   gets a sentence when some could not
  //   errors  Unsupported, Denied: none could
  Result<void> attach(const bpf_program *program, const std::string &section, std::vector<bpf_link *> &links,
                      std::vector<std::string> &lacks) const;

 private:
  struct Places {
    uint32_t first = 0;  // number of the first
    std::vector<UserProbe> probes;
  };
  // Uprobes and uretprobes of one target share their places, and so their numbers.
  static std::string key_of(const std::string &section);

  int32_t pid_;
  std::map<std::string, Places> places_;
  uint32_t places_count_ = 0;
};

}  // namespace waggle
