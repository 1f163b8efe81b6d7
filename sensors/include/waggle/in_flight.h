/* Calls that have begun and not returned, by thread.
 *
 * A thread's call lies in the slot of an array that the low bits of its id name:
 * an array is read without calling a helper, a hash map takes three locks from
 * begin to end. When the slot is another thread's, the call goes to a hash map
 * after all. IN_FLIGHT(name, call) declares both and
 *   bool name_begin(call)  false when there is no room: count the event as lost
 *   void name_skip()       this call is not followed; so that its return does not
 *                          end an older one, whose own return the kernel missed
 *   bool name_end(call)    takes the call; false when it was skipped, or began
 *                          before the sensor did
 * A slot is claimed by adding to a counter and reading it back: whoever reads 1 has
 * it, and of two at once perhaps neither does. Compare-and-swap would do it in one
 * step, but 5.10 refuses a program that holds one anywhere. */
#pragma once

#include <waggle/sensor.bpf.h>

#define WG_SLOTS 16384

#define IN_FLIGHT(name, call_type)                                                     \
  struct name##_slot {                                                                 \
    __u64 claims;                                                                      \
    __u64 tid; /* whose it is, written by nobody else; 0: nobody's */                  \
    struct call_type call;                                                             \
  };                                                                                   \
  struct {                                                                             \
    __uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
    __uint(max_entries, WG_SLOTS);                                                     \
    __type(key, __u32);                                                                \
    __type(value, struct name##_slot);                                                 \
  } name##_slots SEC(".maps");                                                         \
  struct {                                                                             \
    __uint(type, BPF_MAP_TYPE_HASH);                                                   \
    __uint(max_entries, 4096);                                                         \
    __type(key, __u32);                                                                \
    __type(value, struct call_type);                                                   \
  } name##_elsewhere SEC(".maps");                                                     \
  /* Whether a call ever went there. */                                                \
  volatile bool name##_collided = false;                                               \
                                                                                       \
  static __always_inline struct name##_slot *name##_slot_of(__u32 tid) {               \
    __u32 index = tid & (WG_SLOTS - 1);                                                \
    return bpf_map_lookup_elem(&name##_slots, &index);                                 \
  }                                                                                    \
  static __always_inline bool name##_claim(struct name##_slot *slot, __u32 tid) {      \
    volatile __u64 *claims = &slot->claims;                                            \
    /* A call of its own that the kernel did not let return. */                        \
    if (slot->tid == tid) return true;                                                 \
    if (*claims) return false;                                                         \
    wg_add(&slot->claims, 1);                                                          \
    if (*claims == 1) return true;                                                     \
    wg_add(&slot->claims, -1);                                                         \
    return false;                                                                      \
  }                                                                                    \
  static __always_inline void name##_give_back(struct name##_slot *slot) {             \
    slot->tid = 0;                                                                     \
    wg_add(&slot->claims, -1);                                                         \
  }                                                                                    \
  static __always_inline bool name##_begin(const struct call_type *call) {             \
    __u32 tid = bpf_get_current_pid_tgid();                                            \
    struct name##_slot *slot = name##_slot_of(tid);                                    \
    if (slot && name##_claim(slot, tid)) {                                             \
      slot->call = *call;                                                              \
      slot->tid = tid;                                                                 \
      return true;                                                                     \
    }                                                                                  \
    name##_collided = true;                                                            \
    return bpf_map_update_elem(&name##_elsewhere, &tid, call, BPF_ANY) == 0;           \
  }                                                                                    \
  static __always_inline void name##_skip(void) {                                      \
    __u32 tid = bpf_get_current_pid_tgid();                                            \
    struct name##_slot *slot = name##_slot_of(tid);                                    \
    if (slot && slot->tid == tid) name##_give_back(slot);                              \
    if (name##_collided) bpf_map_delete_elem(&name##_elsewhere, &tid);                 \
  }                                                                                    \
  static __always_inline bool name##_end(struct call_type *call) {                     \
    __u32 tid = bpf_get_current_pid_tgid();                                            \
    struct name##_slot *slot = name##_slot_of(tid);                                    \
    if (slot && slot->tid == tid) {                                                    \
      *call = slot->call;                                                              \
      name##_give_back(slot);                                                          \
      return true;                                                                     \
    }                                                                                  \
    if (!name##_collided) return false;                                                \
    struct call_type *found = bpf_map_lookup_elem(&name##_elsewhere, &tid);            \
    if (!found) return false;                                                          \
    *call = *found;                                                                    \
    bpf_map_delete_elem(&name##_elsewhere, &tid);                                      \
    return true;                                                                       \
  }
