// The functions of the files for each instruction set.
#ifndef KERNELS_H
#define KERNELS_H

#include "CLanes.h"

enum direction { seals, opens };

void clanes_process_avx512(struct clanes_packet *_Nonnull packets, size_t count,
                           const uint8_t *_Nonnull key, enum direction direction);

void clanes_process_avx2(struct clanes_packet *_Nonnull packets, size_t count,
                         const uint8_t *_Nonnull key, enum direction direction);

#endif
