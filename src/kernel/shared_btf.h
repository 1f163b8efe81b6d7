// One copy of the kernel's BTF for all sensors that are being loaded.
//
// libbpf reads /sys/kernel/btf/vmlinux (5.5 MB on 6.18) anew for each object and
// holds it twice while it parses. Loading fifteen sensors would read it fifteen
// times. While a KernelBtfLease lives, libbpf is given one shared copy instead:
// the linker sends its calls of btf__load_vmlinux_btf() and btf__free() here
// (--wrap). libbpf only reads a loaded BTF, so threads may share it.
#pragma once

namespace waggle {

// Threads: any number of leases, in any threads. The copy is read when it is
// first needed and freed with the last lease.
class KernelBtfLease {
 public:
  KernelBtfLease();
  ~KernelBtfLease();
  KernelBtfLease(const KernelBtfLease &) = delete;
  KernelBtfLease &operator=(const KernelBtfLease &) = delete;
};

}  // namespace waggle
