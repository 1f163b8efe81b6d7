/* Arguments of USDT probes. Where they lie differs from place to place, and the
 * loader has parsed it from the file's notes (src/format/stapsdt.h):
 *   WG_USDT_CONSTANT  constant
 *   WG_USDT_REGISTER  base
 *   WG_USDT_MEMORY    *(base + index * scale + constant) of the program's memory
 * Registers are numbered as in struct pt_regs, 8 bytes each; -1: none. */
#pragma once

#include <waggle/user.h>

#define WG_USDT_ARGUMENTS 6
enum { WG_USDT_UNKNOWN, WG_USDT_CONSTANT, WG_USDT_REGISTER, WG_USDT_MEMORY };
struct wg_usdt_argument {
  __u8 where, is_signed, bytes, scale, shift;
  __s8 base, index;
  __u8 _pad;
  __s64 constant;
};
struct wg_usdt_place {
  struct wg_usdt_argument arguments[WG_USDT_ARGUMENTS];
};
/* Sized and filled by the loader, by number of the place. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct wg_usdt_place);
} wg_usdt_places SEC(".maps");

static __always_inline __u64 wg_usdt_register(struct pt_regs *ctx, __s8 number) {
  __u64 value = 0;
  if (number >= 0 && number < (__s8)(sizeof(*ctx) / 8))
    bpf_probe_read_kernel(&value, sizeof(value), (void *)ctx + number * 8);
  return value;
}

/* 0 for what is not there, not an integer, or in memory that cannot be read. */
static __always_inline __s64 wg_usdt_argument(struct pt_regs *ctx, const struct wg_usdt_argument *argument) {
  __u64 value = 0;
  if (argument->where == WG_USDT_UNKNOWN) return 0;
  if (argument->where == WG_USDT_CONSTANT) return argument->constant;
  value = wg_usdt_register(ctx, argument->base);
  if (argument->where == WG_USDT_MEMORY) {
    __u64 address = value + wg_usdt_register(ctx, argument->index) * argument->scale + argument->constant;
    if (bpf_probe_read_user(&value, sizeof(value), (void *)address)) {
      /* The 8 bytes may reach beyond the mapping where the argument does not. */
      value = 0;
      if (argument->bytes <= 4) bpf_probe_read_user(&value, 4, (void *)address);
    }
  }
  value >>= argument->shift & 63;
  __u32 unused_bits = (64 - argument->bytes * 8) & 63;
  value <<= unused_bits;
  return argument->is_signed ? (__s64)value >> unused_bits : (__s64)(value >> unused_bits);
}
