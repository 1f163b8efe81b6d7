// Names whose numbers differ from kernel to kernel, read from the running one's BTF.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace waggle {

// An enum of the running kernel.
class KernelEnum {
 public:
  struct Member {
    int64_t number = 0;
    std::string name;
  };
  explicit KernelEnum(std::vector<Member> members);

  std::string_view name(int64_t number) const;                     // empty when there is none
  std::optional<int64_t> number(std::string_view name) const;      // any case
  const std::vector<Member> &members() const { return members_; }  // by number

 private:
  std::vector<Member> members_;
};

// Reads enum `name` ("skb_drop_reason", "req_op"); `prefix` is cut off the names
// that have it. Holds the kernel's BTF (some 6 MB) for the call only; takes 5 to
// 30 ms, so keep the answer.
//   errors   Unsupported  the kernel has no BTF
//            NotFound     it has no such enum
// Threads: any.
Result<KernelEnum> read_kernel_enum(const std::string &name, std::string_view prefix = {});

// Why a packet was dropped: "NO_SOCKET", "TCP_INVALID_SEQUENCE". The enum is
// read at the first call. Empty on kernels before 5.17, which give no reasons,
// and for the reasons of modules (the high 16 bits are their subsystem).
// Threads: any.
std::string_view drop_reason_name(uint32_t reason);
std::optional<int64_t> drop_reason_number(std::string_view name);

// Why a TCP connection was reset: "TCP_ABORT_ON_CLOSE", "NO_SOCKET". As above; the
// enum is there since 6.10.
std::string_view reset_reason_name(uint32_t reason);

}  // namespace waggle
