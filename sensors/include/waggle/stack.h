/* Stacks in rows. They are copied into the row, because ids of stacks
 * (bpf_get_stackid) collide and lose stacks without a count.
 * User frames are found by frame pointers, so a program that was built without
 * them shows its innermost function only.
 * source: bpf-helpers(7) bpf_get_stack */
#pragma once

#include <waggle/sensor.bpf.h>

/* Fills in the stack of the task that runs, which must end the row, and returns how
 * many bytes of it are used: give WG_CUT(row, stack, bytes) to submit. A row with a
 * stack is too large for a program's own stack: take it from SCRATCH().
 *   user_only  leaves the kernel's frames out (a uprobe has none of interest) */
static __always_inline __u64 wg_stack_fill(void *ctx, wg_stack *stack, bool user_only) {
  /* Bytes, or an error where there is no such stack: none of the kernel when user
   * code was interrupted, none of the user in a kernel thread. */
  long kernel = user_only ? 0 : bpf_get_stack(ctx, stack->frames, WG_STACK_DEPTH * 8, 0);
  __u32 kernel_frames = kernel > 0 ? (__u64)kernel / 8 : 0;
  if (kernel_frames > WG_STACK_DEPTH) kernel_frames = WG_STACK_DEPTH;
  long user = bpf_get_stack(ctx, stack->frames + kernel_frames, WG_STACK_DEPTH * 8, BPF_F_USER_STACK);
  __u32 user_frames = user > 0 ? (__u64)user / 8 : 0;
  if (user_frames > WG_STACK_DEPTH) user_frames = WG_STACK_DEPTH;
  stack->kernel_frames = kernel_frames;
  stack->user_frames = user_frames;
  return __builtin_offsetof(wg_stack, frames) + (kernel_frames + user_frames) * 8;
}
