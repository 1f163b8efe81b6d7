/* Probes in user space: which of the places that the loader attached this is, by
 * name.
 *
 * The loader numbers the places of a sensor and gives each attachment its number
 * as a cookie (5.15). Without cookies only the address tells, and of that only the
 * place in its page is the same in every process: pages are mapped whole. Two
 * places at the same offset of their pages share a number then, and a name of both.
 * source: bpf-helpers(7) bpf_get_attach_cookie; perf_event_open(2), uprobe PMU */
#pragma once

#include <linux/ptrace.h>

#include <waggle/rows.h>
#include <waggle/sensor.bpf.h>

/* "getaddrinfo", "python:gc__start"; the loader shortens what is longer. */
#define WG_PROBE_NAME 128
struct wg_probe_name {
  char text[WG_PROBE_NAME];
};

/* Sized and filled by the loader. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct wg_probe_name);
} wg_probe_names SEC(".maps");
/* Offset in a page → number of the place and 1. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, WG_PAGE_BYTES);
  __type(key, __u32);
  __type(value, __u32);
} wg_probe_by_page SEC(".maps");
/* Set by the loader. */
const volatile bool wg_has_cookies = false;

/* The number of the place whose probe runs, from 0. Where there are no cookies only
 * for probes of entries and USDT: the address of a return is not the function's. */
static __always_inline __u32 wg_probe(struct pt_regs *ctx) {
  if (wg_has_cookies) return bpf_get_attach_cookie(ctx) - 1;
  __u32 in_page = PT_REGS_IP(ctx) & (WG_PAGE_BYTES - 1);
  __u32 *number = bpf_map_lookup_elem(&wg_probe_by_page, &in_page);
  return number ? *number - 1 : ~0u;
}

static __always_inline void wg_probe_name(char *into, __u32 probe) {
  struct wg_probe_name *name = bpf_map_lookup_elem(&wg_probe_names, &probe);
  /* One call rather than 128 loads: the text of a row need not be aligned. */
  if (name) bpf_probe_read_kernel(into, WG_PROBE_NAME, name->text);
}

/* Two places of one thread's stack, by their stack pointers. Stacks grow down, and a
 * program may have several: coroutines, an alternate one for signals. */
#define WG_USER_STACK_BYTES (8 << 20)
static __always_inline bool wg_same_stack(__u64 one, __u64 other) {
  __u64 apart = one > other ? one - other : other - one;
  return apart < WG_USER_STACK_BYTES;
}

/* A return pops the return address, on x86. */
#ifdef __TARGET_ARCH_x86
#define WG_RETURN_POPS 8
#else
#define WG_RETURN_POPS 0
#endif
