// A value as text: for people and as JSON. By kind, once, for every sensor,
// script, view and exporter.
//
//   kind                     people                 JSON
//   time                     12:03:07.123456        "2026-11-21T12:03:07.123456789Z"
//   duration                 1.23ms                 1230000 (ns)
//   bytes                    4.00KiB                4096
//   errno, signal            ENOENT, SIGKILL        2, 9
//   flags, modes             O_RDONLY|O_CLOEXEC     524288
//   filesystem, operations,
//   states, drop reasons     ext4, READ             "ext4", "READ" (numbers differ by kernel)
//   capability, requests,
//   commands, mount flags    CAP_KILL, MS_BIND      "CAP_KILL", "MS_BIND"
//   device                   sda                    "sda"
//   uid                      root                   0
//   ip                       10.0.0.1               "10.0.0.1"
//   argv                     sh -c 'echo hi'        ["sh","-c","echo hi"]
//   arguments                fd=3 buf=0x7ffe…       {"fd":3,"buf":"0x7ffe…"}
//   stack                    innermost first        {"kernel":[...],"user":[...]}
#pragma once

#include <span>
#include <string>
#include <vector>

#include "enrich/field.h"
#include "enrich/host.h"
#include "schema/batch.h"

namespace waggle {

// Whether a value of this kind is shown by a name that the host, or its kernel,
// gives it: what a recording carries the name of.
bool is_named_by_host(Kind kind);

// One argument of a traced function, as written.
struct FunctionArgument {
  std::string name, value;
  bool is_text = false;  // in JSON a string: an address, a name
};

// Threads: one at a time.
class Renderer {
 public:
  explicit Renderer(Host &host) : host_(&host) {}

  void append_text(std::string &out, const Field &field, Row row);
  void append_json(std::string &out, const Field &field, Row row);

  // As in JSON but without quotes; argv as a command line.
  void append_csv_value(std::string &out, const Field &field, Row row);

  // Bytes that are equal when two rows belong to the same group.
  void append_key(std::string &out, const Field &field, Row row);

  // The frames of a stack column as names, innermost first: kernel frames, which
  // end in "_[k]", then user frames. Those of the program that took the stack are
  // left out.  REQUIRES: the field's kind is kStack
  std::vector<std::string> frames(const Field &field, Row row);

  Host &host() { return *host_; }

 private:
  struct NamedStack {
    std::vector<std::string> kernel, user;
  };
  NamedStack named_stack(const Field &field, Row row);
  void append_column_text(std::string &out, const Column &column, Row row);
  void append_name_of(std::string &out, const Column &column, Row row);
  void append_stack_text(std::string &out, const Field &field, Row row);
  void append_stack_json(std::string &out, const Field &field, Row row);
  std::vector<FunctionArgument> arguments_of_call(const Field &field, Row row);
  void append_arguments_text(std::string &out, const Field &field, Row row);
  void append_arguments_json(std::string &out, const Field &field, Row row);
  void append_followed(std::string &out, const Field &field, Row row);
  void append_followed_text(std::string &out, const Field &field, Row row);
  void append_wall_clock(std::string &out, uint64_t monotonic_ns);
  void append_rfc3339(std::string &out, uint64_t monotonic_ns);
  void turn_clock(int64_t second);

  Host *host_;
  int64_t second_ = -1;       // the wall-clock second that the prefixes below are of
  std::string clock_, date_;  // "12:03:07", "2026-11-21T12:03:07"
  std::string scratch_;
};

// Whether a function is between a tracepoint and the program that took the stack
// there, rather than what was traced.
bool is_frame_of_tracer(std::string_view kernel_symbol);

// IPv4-mapped addresses print as IPv4; RFC 5952.
void append_ip(std::string &out, std::span<const uint8_t, 16> address);

// Arguments as a shell would take them: quoted where they must be.
void append_command_line(std::string &out, std::string_view nul_separated);

}  // namespace waggle
