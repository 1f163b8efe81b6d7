#include "script/run/attach.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "script/run/hooks.h"

namespace waggle::script {
namespace {

// As bpf(BPF_LINK_CREATE) takes it for uprobe.multi, which the build's headers may not have.
// source: include/uapi/linux/bpf.h of 6.6
struct UprobeMulti {
  uint32_t program = 0, target = 0, attach_type = 0, flags = 0;
  uint64_t path = 0, offsets = 0, semaphores = 0, cookies = 0;
  uint32_t count = 0, multi_flags = 0, pid = 0, padding = 0;
};
constexpr uint32_t kUprobeMultiType = 48, kReturnFlag = 1;

Error cannot_attach(const ConcreteProbe &probe, int error_number) {
  ErrorCode code = error_number == EPERM || error_number == EACCES ? ErrorCode::kDenied : ErrorCode::kFailed;
  return {code, fmt::format("Unable to attach probe: {}", probe.name), strerror(error_number), {}};
}

}  // namespace

Result<void> Attachments::attach_events(const ConcreteProbe &probe, int program, int32_t pid) {
  std::vector<Fd> events = TRY(open_events(probe, pid));
  Watch watch{probe.point.address, hooks_.size(), 0};
  // What a probe is attached to is all of it or nothing.
  const size_t hooks_before = hooks_.size(), links_before = links_.size();
  auto give_up = [&](int error_number) {
    hooks_.erase(hooks_.begin() + static_cast<ptrdiff_t>(hooks_before), hooks_.end());
    links_.erase(links_.begin() + static_cast<ptrdiff_t>(links_before), links_.end());
    return tl::unexpected(cannot_attach(probe, error_number));
  };
  for (Fd &event : events) {
    if (has_event_links_) {
      Fd link(bpf_link_create(program, event.get(), BPF_PERF_EVENT, nullptr));
      if (link.valid()) {
        links_.push_back(std::move(link));
      } else if (errno == EINVAL) {
        has_event_links_ = false;
      } else {
        return give_up(errno);
      }
    }
    if (!has_event_links_ && ioctl(event.get(), PERF_EVENT_IOC_SET_BPF, program) != 0) return give_up(errno);
    hooks_.push_back(std::move(event));
  }
  watch.end = hooks_.size();
  if (probe.mechanism == Mechanism::kWatchpoint) watches_.push_back(watch);
  return {};
}

Result<void> Attachments::attach_raw(const ConcreteProbe &probe, int program) {
  // Named: a raw tracepoint. Without a name: what the program was loaded for.
  const char *name = probe.mechanism == Mechanism::kRawTracepoint ? probe.point.function.c_str() : nullptr;
  Fd link(bpf_raw_tracepoint_open(name, program));
  if (!link.valid()) return tl::unexpected(cannot_attach(probe, errno));
  links_.push_back(std::move(link));
  return {};
}

// A link for all of probes[begin, end). One that the kernel refuses makes it refuse them all: it is
// searched for by halves.
//   link  makes one; of what is refused it is not valid, and errno says why
template <typename Link>
void Attachments::attach_many(const LoadedProgram &program, size_t begin, size_t end, Link link,
                              std::vector<AttachFailure> &failures) {
  if (Fd made = link(begin, end); made.valid()) {
    links_.push_back(std::move(made));
    return;
  }
  if (end - begin == 1) {
    const ConcreteProbe &probe = program.program->probes[begin];
    failures.push_back({&probe, cannot_attach(probe, errno)});
    return;
  }
  size_t middle = begin + (end - begin) / 2;
  attach_many(program, begin, middle, link, failures);
  attach_many(program, middle, end, link, failures);
}

void Attachments::attach_kprobes(const LoadedProgram &program, std::vector<AttachFailure> &failures) {
  const std::vector<ConcreteProbe> &probes = program.program->probes;
  auto link = [&](size_t begin, size_t end) {
    std::vector<const char *> names;
    for (size_t i = begin; i < end; i++) names.push_back(probes[i].point.function.c_str());
    bpf_link_create_opts options = {};
    options.sz = sizeof(options);
    options.kprobe_multi.syms = names.data();
    options.kprobe_multi.cnt = static_cast<uint32_t>(names.size());
    options.kprobe_multi.flags = is_return_probe(probes[begin].point.provider) ? kReturnFlag : 0;
    return Fd(bpf_link_create(program.of(begin), 0, BPF_TRACE_KPROBE_MULTI, &options));
  };
  attach_many(program, 0, probes.size(), link, failures);
}

// A link is of places in one file.
void Attachments::attach_uprobes(const LoadedProgram &program, int32_t pid, std::vector<AttachFailure> &failures) {
  const std::vector<ConcreteProbe> &probes = program.program->probes;
  auto link = [&](size_t begin, size_t end) {
    std::vector<uint64_t> offsets;
    for (size_t i = begin; i < end; i++) offsets.push_back(probes[i].place.offset);
    UprobeMulti request;
    request.program = static_cast<uint32_t>(program.of(begin));
    request.attach_type = kUprobeMultiType;
    request.path = reinterpret_cast<uint64_t>(probes[begin].place.path.c_str());
    request.offsets = reinterpret_cast<uint64_t>(offsets.data());
    request.count = static_cast<uint32_t>(offsets.size());
    request.multi_flags = is_return_probe(probes[begin].point.provider) ? kReturnFlag : 0;
    request.pid = static_cast<uint32_t>(pid);
    return Fd(static_cast<int>(syscall(SYS_bpf, BPF_LINK_CREATE, &request, sizeof(request))));
  };
  for (size_t begin = 0, end = 0; begin < probes.size(); begin = end) {
    while (end < probes.size() && probes[end].place.path == probes[begin].place.path) end++;
    attach_many(program, begin, end, link, failures);
  }
}

std::vector<AttachFailure> Attachments::attach(const LoadedProgram &program, int32_t pid) {
  const std::vector<ConcreteProbe> &probes = program.program->probes;
  std::vector<AttachFailure> failures;
  Mechanism mechanism = probes.front().mechanism;
  CHECK(mechanism != Mechanism::kItself && mechanism != Mechanism::kIterator);
  if (mechanism == Mechanism::kKprobeMulti) {
    attach_kprobes(program, failures);
    return failures;
  }
  if (mechanism == Mechanism::kUprobeMulti) {
    attach_uprobes(program, pid, failures);
    return failures;
  }
  for (size_t i = 0; i < probes.size(); i++) {
    Result<void> attached = opens_perf_event(mechanism) ? attach_events(probes[i], program.of(i), pid)
                                                        : attach_raw(probes[i], program.of(i));
    if (!attached) failures.push_back({&probes[i], std::move(attached).error()});
  }
  return failures;
}

void Attachments::unwatch(uint64_t address) {
  for (const Watch &watch : watches_)
    if (watch.address == address)
      for (size_t i = watch.begin; i < watch.end; i++)
        if (hooks_[i].valid()) ioctl(hooks_[i].get(), PERF_EVENT_IOC_DISABLE, 0);
}

}  // namespace waggle::script
