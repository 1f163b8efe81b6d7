// A USDT probe as <sys/sdt.h> leaves it: a nop, and a note that says where it is and where
// its arguments are. Of at most three arguments, 64-bit ones unless it is said.
// source: the format of notes, SystemTap's "UserSpaceProbeImplementation"
#pragma once

#define USDT_NOTE(provider, name, semaphore, arguments)                                     \
  "990: nop\n"                                                                              \
  ".pushsection .note.stapsdt,\"\",\"note\"\n"                                              \
  ".balign 4\n"                                                                             \
  ".4byte 992f-991f, 994f-993f, 3\n"                                                        \
  "991: .asciz \"stapsdt\"\n"                                                               \
  "992: .balign 4\n"                                                                        \
  "993: .8byte 990b, _.stapsdt.base, " semaphore "\n"                                       \
  ".asciz \"" #provider "\"\n.asciz \"" #name "\"\n.asciz \"" arguments "\"\n"              \
  "994: .balign 4\n"                                                                        \
  ".popsection\n"                                                                           \
  ".ifndef _.stapsdt.base\n"                                                                \
  ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n"                   \
  ".weak _.stapsdt.base\n.hidden _.stapsdt.base\n_.stapsdt.base: .space 1\n"                \
  ".size _.stapsdt.base, 1\n.popsection\n.endif\n"

#define USDT0(provider, name) __asm__ volatile(USDT_NOTE(provider, name, "0", ""))
#define USDT2(provider, name, a, b) \
  __asm__ volatile(USDT_NOTE(provider, name, "0", "8@%0 8@%1") : : "r"((long)(a)), "r"((long)(b)) : "memory")
#define USDT_INT(provider, name, a) \
  __asm__ volatile(USDT_NOTE(provider, name, "0", "-4@%0") : : "r"((int)(a)))
#define USDT_GUARDED(provider, name, semaphore, a) \
  __asm__ volatile(USDT_NOTE(provider, name, #semaphore, "8@%0") : : "r"((long)(a)))
