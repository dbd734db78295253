// Powers of r, the key of Poly1305, for AVX-512. They let one lane skip the blocks of the others.
#ifndef AVX512_POWERS_H
#define AVX512_POWERS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "Numbers.h"
#include "Target.h"

enum { power_lanes = 8 };

// The powers 1, 2, 3, 4, 8, 12 and 16 of r, for eight packets.
struct powers {
    struct number of1, of2, of3, of4, of8, of12, of16;
};

// r of each packet: part of its one-time key.
INLINE struct number multipliers(const uint8_t keys[][32], size_t count)
{
    _Alignas(64) uint64_t low[power_lanes] = {0}, high[power_lanes] = {0};
    for (size_t i = 0; i < power_lanes && i < count; i++) {
        memcpy(&low[i], keys[i], sizeof low[i]);
        memcpy(&high[i], keys[i] + sizeof low[i], sizeof high[i]);
    }
    // RFC 8439, 2.5: some bits of r are cleared.
    const struct number r = split(*(const vector *)low & ALL(0x0ffffffc0fffffff),
                                  *(const vector *)high & ALL(0x0ffffffc0ffffffc));
    memset(low, 0, sizeof low);
    memset(high, 0, sizeof high);
    __asm__ volatile("" : : "r"(low), "r"(high) : "memory");
    return r;
}

TARGET static void make_powers(struct powers *powers, const uint8_t keys[][32], size_t count)
{
    const struct number r = multipliers(keys, count);
    powers->of1 = r;
    powers->of2 = times(r, r);
    powers->of3 = times(powers->of2, r);
    powers->of4 = times(powers->of2, powers->of2);
    powers->of8 = times(powers->of4, powers->of4);
    powers->of12 = times(powers->of8, powers->of4);
    powers->of16 = times(powers->of8, powers->of8);
}

// The powers of two of the eight packets, in the lanes of all their blocks.
INLINE vector pair_of(const vector *eight, size_t first)
{
    return _mm512_broadcast_i64x2(_mm_load_si128((const __m128i *)((const uint64_t *)eight + first)));
}

INLINE struct factor factor_of(const struct number *power, size_t first)
{
    return factor((struct number){{pair_of(&power->limb[0], first), pair_of(&power->limb[1], first),
                                   pair_of(&power->limb[2], first)}});
}

// The factors of the four blocks in the last row: r to the power of 4, 3, 2 and 1.
INLINE struct factor last_factor(const struct powers *powers, size_t first)
{
    struct number n;
    UNROLL for (int i = 0; i < 3; i++) {
        n.limb[i] = pair_of(&powers->of4.limb[i], first);
        n.limb[i] = _mm512_mask_mov_epi64(n.limb[i], 0x0c, pair_of(&powers->of3.limb[i], first));
        n.limb[i] = _mm512_mask_mov_epi64(n.limb[i], 0x30, pair_of(&powers->of2.limb[i], first));
        n.limb[i] = _mm512_mask_mov_epi64(n.limb[i], 0xc0, pair_of(&powers->of1.limb[i], first));
    }
    return factor(n);
}

#endif
