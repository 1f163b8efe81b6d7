/* Stacks in rows. They are copied into the row, because ids of stacks
 * (bpf_get_stackid) collide and lose stacks without a count.
 * User frames are found by frame pointers, so a program that was built without
 * them shows its innermost function only.
 * source: bpf-helpers(7) bpf_get_stack */
#pragma once

#include <waggle/sensor.bpf.h>

/* As wg_stack_fill() does, without the innermost `skip` frames of the kernel. */
static __always_inline __u64 wg_stack_fill_above(void *ctx, wg_stack *stack, bool user_only, __u32 skip) {
  /* Bytes, or an error where there is no such stack: none of the kernel when user
   * code was interrupted, none of the user in a kernel thread. */
  long kernel = user_only ? 0 : bpf_get_stack(ctx, stack->frames, WG_STACK_DEPTH * 8, skip & BPF_F_SKIP_FIELD_MASK);
  __u32 kernel_frames = kernel > 0 ? (__u64)kernel / 8 : 0;
  if (kernel_frames > WG_STACK_DEPTH) kernel_frames = WG_STACK_DEPTH;
  long user = bpf_get_stack(ctx, stack->frames + kernel_frames, WG_STACK_DEPTH * 8, BPF_F_USER_STACK);
  __u32 user_frames = user > 0 ? (__u64)user / 8 : 0;
  if (user_frames > WG_STACK_DEPTH) user_frames = WG_STACK_DEPTH;
  stack->kernel_frames = kernel_frames;
  stack->user_frames = user_frames;
  return __builtin_offsetof(wg_stack, frames) + (kernel_frames + user_frames) * 8;
}

/* Fills in the stack of the task that runs, which must end the row, and returns how
 * many bytes of it are used: give WG_CUT(row, stack, bytes) to submit. A row with a
 * stack is too large for a program's own stack: take it from SCRATCH().
 *   user_only  leaves the kernel's frames out (a uprobe has none of interest) */
static __always_inline __u64 wg_stack_fill(void *ctx, wg_stack *stack, bool user_only) {
  return wg_stack_fill_above(ctx, stack, user_only, 0);
}

/* The kernel's frames alone, for what no program asked for: a packet that arrives. */
static __always_inline __u64 wg_stack_fill_kernel(void *ctx, wg_stack *stack) {
  long kernel = bpf_get_stack(ctx, stack->frames, WG_STACK_DEPTH * 8, 0);
  stack->kernel_frames = kernel > 0 ? (__u64)kernel / 8 : 0;
  stack->user_frames = 0;
  return __builtin_offsetof(wg_stack, frames) + stack->kernel_frames * 8;
}

/* How many frames lie inside of `function`, which was just entered: those of the
 * trampoline and of the program itself, where the kernel does not leave them out. */
static __always_inline __u32 wg_stack_inside(void *ctx, wg_kaddr function) {
  /* The place behind endbr64 and the call of the trampoline. */
  enum { kFrames = 12, kEntryBytes = 16 };
  __u64 frames[kFrames] = {};
  bpf_get_stack(ctx, frames, sizeof(frames), 0);
  for (__u32 i = 0; i < kFrames; i++)
    if (frames[i] - function <= kEntryBytes) return i;
  return 0;
}

/* Tables by stack. The key has a hash of the frames, the value the frames
 * themselves: ids of bpf_get_stackid() are a hash of 32 bits into one bucket each,
 * and a stack whose bucket is taken has none.
 * Words are hashed as FNV-1a does bytes, and folded, so that high bits reach low ones. */
static __always_inline __u64 wg_stack_hash(const wg_stack *stack) {
  __u32 frames = stack->kernel_frames + stack->user_frames;
  __u64 hash = 0xcbf29ce484222325ull ^ stack->kernel_frames;
  for (__u32 i = 0; i < 2 * WG_STACK_DEPTH; i++) {
    if (i >= frames) break;
    hash = (hash ^ stack->frames[i]) * 0x100000001b3ull;
    hash ^= hash >> 32;
  }
  return hash;
}

/* Gives a fresh row of a table its frames. Two CPUs that do so at once write the
 * same, because the row's key has the hash. */
static __always_inline void wg_stack_keep(wg_stack *row, const wg_stack *stack) {
  if (row->kernel_frames || row->user_frames) return;
  bpf_probe_read_kernel(row, sizeof(*row), stack);
}
