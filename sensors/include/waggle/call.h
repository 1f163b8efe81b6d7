/* The arguments of the system call that the current task is in, at its return too,
 * so that a sensor of results needs no memory of the calls that began: the entry of
 * the kernel saves them on the task's stack, and they stay there.
 * source: arch/x86/entry/entry_64.S; arch/x86/include/asm/processor.h task_pt_regs() */
#pragma once

#include <waggle/sensor.bpf.h>

/* Registers are at the top of the task's stack. */
#define WG_STACK_BYTES (16 << 10)

static __always_inline const struct pt_regs___syscall *wg_call_registers(void) {
  /* dd6e10fbd9fb (5.15) */
  if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
    return (const struct pt_regs___syscall *)bpf_task_pt_regs(bpf_get_current_task_btf());
  struct task_struct *task = (struct task_struct *)bpf_get_current_task();
  return BPF_CORE_READ(task, stack) + WG_STACK_BYTES - bpf_core_type_size(struct pt_regs___syscall);
}

struct wg_call_words {
  unsigned long at[6];
};
static __always_inline void wg_call_arguments(struct wg_call_words *arguments) {
  const struct pt_regs___syscall *registers = wg_call_registers();
  arguments->at[0] = BPF_CORE_READ(registers, di);
  arguments->at[1] = BPF_CORE_READ(registers, si);
  arguments->at[2] = BPF_CORE_READ(registers, dx);
  arguments->at[3] = BPF_CORE_READ(registers, r10);
  arguments->at[4] = BPF_CORE_READ(registers, r8);
  arguments->at[5] = BPF_CORE_READ(registers, r9);
}

static __always_inline wg_errno wg_errno_of(long result) { return result < 0 ? -result : 0; }
