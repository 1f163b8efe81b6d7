#include "kernel/shared_btf.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>

#include "base/check.h"
#include "base/fd.h"

extern "C" {
btf *__real_btf__load_vmlinux_btf();
btf *__wrap_btf__load_vmlinux_btf();
void __real_btf__free(btf *types);
void __wrap_btf__free(btf *types);
}

namespace waggle {
namespace {

std::mutex mutex;
int leases = 0;         // guarded by mutex
btf *shared = nullptr;  // guarded by mutex; what it points to is read-only

// Since 6.16 (a539e2a6d51d) the file can be mapped, and mapped pages are the
// kernel's: parsing then costs one copy, not two.
btf *parse_mapped() {
  Result<Fd> file = open_file("/sys/kernel/btf/vmlinux");
  struct stat status = {};
  if (!file || fstat(file->get(), &status) != 0 || status.st_size <= 0) return nullptr;
  auto bytes = static_cast<size_t>(status.st_size);
  void *pages = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file->get(), 0);
  if (pages == MAP_FAILED) return nullptr;
  btf *types = btf__new(pages, static_cast<uint32_t>(bytes));
  munmap(pages, bytes);
  return libbpf_get_error(types) == 0 ? types : nullptr;
}

}  // namespace

KernelBtfLease::KernelBtfLease() {
  std::lock_guard lock(mutex);
  leases++;
}

KernelBtfLease::~KernelBtfLease() {
  std::lock_guard lock(mutex);
  CHECK(leases > 0);
  if (--leases > 0 || shared == nullptr) return;
  __real_btf__free(shared);
  shared = nullptr;
}

}  // namespace waggle

btf *__wrap_btf__load_vmlinux_btf() {
  std::lock_guard lock(waggle::mutex);
  if (waggle::leases == 0) return __real_btf__load_vmlinux_btf();
  if (waggle::shared == nullptr) waggle::shared = waggle::parse_mapped();
  if (waggle::shared == nullptr) {
    btf *types = __real_btf__load_vmlinux_btf();
    if (libbpf_get_error(types) != 0) return types;
    waggle::shared = types;
  }
  return waggle::shared;
}

void __wrap_btf__free(btf *types) {
  {
    std::lock_guard lock(waggle::mutex);
    if (types != nullptr && types == waggle::shared) return;
  }
  __real_btf__free(types);
}
