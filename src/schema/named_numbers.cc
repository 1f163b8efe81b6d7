#include "schema/named_numbers.h"

#include "kernel/names.h"

namespace waggle {

NumberOf named_numbers(Kind kind) {
  switch (kind) {
    case Kind::kSignal:
      return signal_number;
    case Kind::kSignalCode:
      return signal_code_number;
    case Kind::kErrno:
      return errno_number;
    case Kind::kSyscall:
      return syscall_number;
    case Kind::kFilesystem:
      return filesystem_magic;
    case Kind::kTcpState:
      return tcp_state_number;
    case Kind::kTcpCaState:
      return tcp_ca_state_number;
    case Kind::kDnsType:
      return dns_type_number;
    case Kind::kDnsRcode:
      return dns_rcode_number;
    case Kind::kIpProtocol:
      return ip_protocol_number;
    case Kind::kEtherType:
      return ether_type_number;
    case Kind::kCapability:
      return capability_number;
    case Kind::kPtraceRequest:
      return ptrace_request_number;
    case Kind::kBpfCommand:
      return bpf_command_number;
    case Kind::kBpfProgram:
      return bpf_program_type_number;
    case Kind::kBpfMap:
      return bpf_map_type_number;
    case Kind::kSoftirq:
      return softirq_number;
    case Kind::kFutexOp:
      return futex_op_number;
    case Kind::kBlockOp:
      return block_op_number;
    default:
      return nullptr;
  }
}

}  // namespace waggle
