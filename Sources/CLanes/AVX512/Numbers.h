// Numbers modulo 2^130 - 5 for Poly1305 with AVX-512 IFMA, one in each 64-bit lane.
//
// A number has three limbs of 44, 44 and 42 bits. The lower and upper 52 bits of the products of limbs are
// summed separately. A product that is one limb too high is added again as 20 times it, since 2^132 is 20
// modulo 2^130 - 5.
//
// The bounds: A multiplicand has limbs of 44, 44 and 41 bits, or of 45, 45 and 43 bits where the sum so far
// is added to it, in the first row of a step and in the last row of all. A factor has slightly more than
// 44 bits, 44 and 42, and 20 times that. So the twelve products of four rows stay below 2^56, and the sums
// of the upper halves stay below 2^39, 2^44 and 2^44. carry() multiplies these by 20 · 2^8, 2^8 and 2^8,
// which gives at most 52 bits.
#ifndef AVX512_NUMBERS_H
#define AVX512_NUMBERS_H

#include "Target.h"

#define ALL(number) _mm512_set1_epi64(number)

static const long long limb44 = (1LL << 44) - 1, limb42 = (1LL << 42) - 1;

struct number {
    vector limb[3];
};

struct factor {
    vector limb[3], limb20[3];
};

typedef struct {
    vector low[3], high[3];
} sum;

INLINE struct factor factor(struct number n)
{
    const vector zero = _mm512_setzero_si512(), twenty = ALL(20);
    return (struct factor){
        {n.limb[0], n.limb[1], n.limb[2]},
        {zero, _mm512_madd52lo_epu64(zero, n.limb[1], twenty),
         _mm512_madd52lo_epu64(zero, n.limb[2], twenty)}};
}

INLINE sum zero(void)
{
    const vector v = _mm512_setzero_si512();
    return (sum){{v, v, v}, {v, v, v}};
}

INLINE struct number plus(struct number a, struct number b)
{
    UNROLL for (int i = 0; i < 3; i++)
        a.limb[i] = _mm512_add_epi64(a.limb[i], b.limb[i]);
    return a;
}

INLINE sum total(const sum sums[2])
{
    sum s;
    UNROLL for (int i = 0; i < 3; i++) {
        s.low[i] = _mm512_add_epi64(sums[0].low[i], sums[1].low[i]);
        s.high[i] = _mm512_add_epi64(sums[0].high[i], sums[1].high[i]);
    }
    return s;
}

INLINE void add_product(sum *s, int i, vector a, vector b)
{
    s->low[i] = _mm512_madd52lo_epu64(s->low[i], a, b);
    s->high[i] = _mm512_madd52hi_epu64(s->high[i], a, b);
}

// Adds to limb 0 last, because carry() completes it last.
INLINE sum plus_product(sum s, struct number n, const struct factor *f)
{
    add_product(&s, 2, n.limb[2], f->limb[0]);
    add_product(&s, 0, n.limb[2], f->limb20[1]);
    add_product(&s, 1, n.limb[2], f->limb20[2]);
    add_product(&s, 2, n.limb[1], f->limb[1]);
    add_product(&s, 0, n.limb[1], f->limb20[2]);
    add_product(&s, 1, n.limb[1], f->limb[0]);
    add_product(&s, 2, n.limb[0], f->limb[2]);
    add_product(&s, 0, n.limb[0], f->limb[0]);
    add_product(&s, 1, n.limb[0], f->limb[1]);
    return s;
}

// The upper 52 bits of a product have the weight 2^52, which is 2^8 of the next limb. One multiplication
// both shifts and adds.
INLINE struct number carry(sum s)
{
    const vector t0 = _mm512_madd52lo_epu64(s.low[0], s.high[2], ALL(20 << 8));
    const vector t1 = _mm512_add_epi64(
        _mm512_madd52lo_epu64(s.low[1], s.high[0], ALL(1 << 8)), _mm512_srli_epi64(t0, 44));
    const vector t2 = _mm512_add_epi64(
        _mm512_madd52lo_epu64(s.low[2], s.high[1], ALL(1 << 8)), _mm512_srli_epi64(t1, 44));
    return (struct number){{
        _mm512_madd52lo_epu64(
            _mm512_and_si512(t0, ALL(limb44)), _mm512_srli_epi64(t2, 42), ALL(5)),
        _mm512_and_si512(t1, ALL(limb44)), _mm512_and_si512(t2, ALL(limb42)),
    }};
}

// The limbs of numbers of 128 bits.
INLINE struct number split(vector low, vector high)
{
    return (struct number){{
        _mm512_and_si512(low, ALL(limb44)),
        _mm512_and_si512(_mm512_shrdi_epi64(low, high, 44), ALL(limb44)),
        _mm512_srli_epi64(high, 24),
    }};
}

INLINE struct number times(struct number a, struct number b)
{
    const struct factor f = factor(b);
    return carry(plus_product(zero(), a, &f));
}

INLINE void move_up(struct number *n, int i)
{
    n->limb[i + 1] = _mm512_add_epi64(n->limb[i + 1], _mm512_srli_epi64(n->limb[i], 44));
    n->limb[i] = _mm512_and_si512(n->limb[i], ALL(limb44));
}

// Subtracts 2^130 - 5 if the number is at least that, and returns the lower 128 bits in words of 64 bits.
// The limbs have 47, 46 and 44 bits, as each is the sum of four.
INLINE void reduce(struct number n, vector *low, vector *high)
{
    move_up(&n, 0);
    move_up(&n, 1);
    // The number becomes at most 2^130 + 20, so one subtraction is enough.
    n.limb[0] = _mm512_madd52lo_epu64(n.limb[0], _mm512_srli_epi64(n.limb[2], 42), ALL(5));
    n.limb[2] = _mm512_and_si512(n.limb[2], ALL(limb42));
    move_up(&n, 0);
    move_up(&n, 1);
    struct number less = n;
    less.limb[0] = _mm512_add_epi64(n.limb[0], ALL(5));
    move_up(&less, 0);
    move_up(&less, 1);
    const __mmask8 is_more = _mm512_test_epi64_mask(less.limb[2], ALL(1LL << 42));
    UNROLL for (int i = 0; i < 3; i++)
        n.limb[i] = _mm512_mask_mov_epi64(n.limb[i], is_more, less.limb[i]);
    *low = _mm512_or_si512(n.limb[0], _mm512_slli_epi64(n.limb[1], 44));
    *high = _mm512_or_si512(_mm512_srli_epi64(n.limb[1], 20), _mm512_slli_epi64(n.limb[2], 24));
}

#endif
