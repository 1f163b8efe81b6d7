// A Kind is what a value means: not "u64" but "nanoseconds", not "u32" but
// "process". Sensors declare it by typedef (sensors/include/waggle/types.h);
// everything that shows, stores, exports or matches a value goes by it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace waggle {

enum class Kind : uint8_t {
  kNumber,
  kText,
  kTime,
  kDuration,
  kBytes,
  kCount,
  kPid,
  kTid,
  kUid,
  kGid,
  kComm,
  kCgroup,
  kCpu,
  kErrno,
  kSignal,
  kFd,
  kSyscall,
  kOpenFlags,
  kMode,
  kDevice,
  kInode,
  kFilesystem,
  kFileOp,
  kBlockOp,
  kTcpState,
  kDropReason,
  kEtherType,
  kIpProtocol,
  kPort,
  kIp,
  kKernelAddress,
  kPath,
  kArgv,
  kTaskState,
  kSoftirq,
  kLockFlags,
  kFutexOp,
  kSignalCode,
  kSignalResult,
  kCapability,
  kMountFlags,
  kUmountFlags,
  kPtraceRequest,
  kBpfCommand,
  kBpfProgram,
  kBpfMap,
  kTaints,
  kArguments,
  kTcpCaState,
  kResetReason,
  kDnsType,
  kDnsRcode,
  kStack,
  kHistogram,
  kAddress,
};

// How two rows are ordered and whether adding values makes sense.
enum class Nature : uint8_t {
  kIdentity,  // names something: group by it, count it
  kAmount,    // adds up: bytes, counts
  kExtent,    // has a size but does not add up by itself: a duration, an age
  kOther,     // stacks, histograms, time stamps
};

struct KindInfo {
  Kind kind;
  std::string_view name;       // the word of docs, schema JSON and SQL: "duration", "pid"
  std::string_view type_name;  // the sensor's typedef: "wg_nanoseconds"; empty for plain types
  std::string_view unit;       // "ns", "bytes", or empty
  Nature nature;
  std::string_view help;  // the default help text of a column of this kind
};

const KindInfo &kind_info(Kind kind);

// The kind of a typedef of types.h; nothing for a name that is not one.
std::optional<Kind> kind_of_type(std::string_view type_name);

// The kind that kind_info() names so.
std::optional<Kind> kind_of_name(std::string_view name);

}  // namespace waggle
