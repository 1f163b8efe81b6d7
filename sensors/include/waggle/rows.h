/* Rows too large for a program's stack, where a row of the CPU (SCRATCH) would be
 * written by two: programs at probes in user space can lose their CPU to another
 * thread that runs the same program (6.0, 8c7dcb84e3b7), and before 6.1 (05b24ff9b2cf)
 * the program of a tracepoint that interrupts fire is run inside of itself.
 * ROWS(name, row) declares a pool of them and
 *   row *name_take()   one that nobody has; NULL when many CPUs are at it at once:
 *                      count the event as lost
 *   name_give(row)     gives it back
 * A row is claimed by adding to a counter and reading it back, as in in_flight.h. */
#pragma once

#include <waggle/sensor.bpf.h>

#define WG_ROWS 64
#define WG_ROWS_TRIED 8
#define ROWS(name, row_type)                                                  \
  struct name##_pooled {                                                      \
    __u64 claims;                                                             \
    struct row_type row;                                                      \
  };                                                                          \
  struct {                                                                    \
    __uint(type, BPF_MAP_TYPE_ARRAY);                                         \
    __uint(max_entries, WG_ROWS);                                             \
    __type(key, __u32);                                                       \
    __type(value, struct name##_pooled);                                      \
  } name##_pool SEC(".maps");                                                 \
  static __always_inline struct name##_pooled *name##_take(void) {            \
    __u32 first = bpf_get_smp_processor_id();                                 \
    for (__u32 i = 0; i < WG_ROWS_TRIED; i++) {                               \
      __u32 index = (first + i) & (WG_ROWS - 1);                              \
      struct name##_pooled *pooled = bpf_map_lookup_elem(&name##_pool, &index); \
      if (!pooled) return 0;                                                  \
      volatile __u64 *claims = &pooled->claims;                               \
      if (*claims) continue;                                                  \
      wg_add(&pooled->claims, 1);                                             \
      if (*claims == 1) return pooled;                                        \
      wg_add(&pooled->claims, -1);                                            \
    }                                                                         \
    return 0;                                                                 \
  }                                                                           \
  static __always_inline void name##_give(struct name##_pooled *pooled) { wg_add(&pooled->claims, -1); }
