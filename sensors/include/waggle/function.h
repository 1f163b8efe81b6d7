/* What sensors of any kernel function share.
 * source: bpf-helpers(7) bpf_get_func_ip (5.15); System V ABI, x86-64 §3.2.3 */
#pragma once

#include <linux/ptrace.h>

#include <waggle/sensor.bpf.h>

#ifdef __TARGET_ARCH_x86
/* The program of a kprobe runs behind the breakpoint instruction. */
#define WG_BREAKPOINT_BYTES 1
/* bpf_tracing.h names five. */
#define WG_PT_REGS_PARM6(ctx) ((ctx)->r9)
#else
#define WG_BREAKPOINT_BYTES 0
#define WG_PT_REGS_PARM6(ctx) ((const struct user_pt_regs *)(ctx))->regs[5]
#endif

/* The function that a kprobe sits on. */
static __always_inline wg_kaddr wg_kprobe_function(struct pt_regs *ctx) {
  return bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_func_ip) ? bpf_get_func_ip(ctx)
                                                                            : PT_REGS_IP(ctx) - WG_BREAKPOINT_BYTES;
}
