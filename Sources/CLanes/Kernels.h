// The entry points of the code for each instruction set.
#ifndef KERNELS_H
#define KERNELS_H

#include "CLanes.h"

enum direction { seals, opens };

// Instructions that clear the caller-saved general registers, and the clobber list for them.
#define CLEAR_GENERAL                                                                              \
    "xorl %%eax, %%eax\n\t" "xorl %%ecx, %%ecx\n\t" "xorl %%edx, %%edx\n\t"                        \
    "xorl %%esi, %%esi\n\t" "xorl %%edi, %%edi\n\t" "xorl %%r8d, %%r8d\n\t"                        \
    "xorl %%r9d, %%r9d\n\t" "xorl %%r10d, %%r10d\n\t" "xorl %%r11d, %%r11d"
#define GENERAL "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc"

void clanes_process_avx512(struct clanes_packet *_Nonnull packets, size_t count,
                           const uint8_t *_Nonnull key, enum direction direction);

void clanes_process_avx2(struct clanes_packet *_Nonnull packets, size_t count,
                         const uint8_t *_Nonnull key, enum direction direction);

#endif
