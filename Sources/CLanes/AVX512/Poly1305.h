// Poly1305 for AVX-512: the tags of four packets at once. Two packets share a vector, with four blocks of
// each in its 64-bit lanes, and two such pairs are interleaved.
#ifndef AVX512_POLY1305_H
#define AVX512_POLY1305_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../Kernels.h"
#include "Numbers.h"
#include "Powers.h"
#include "Rows.h"
#include "Target.h"

enum { step_rows = 4, tag_count = 4 };

struct progress {
    struct powers powers;
};

#include "../Tags.h"

// Two messages. `factors[i]` is the factor of a row that i more rows of its step follow. `sum` is the sum
// of the rows so far.
struct pair {
    struct message a, b;
    struct factor factors[step_rows];
    struct number sum;
};

INLINE size_t rows_before_last(const struct pair *pair)
{
    const size_t rows_of_a = row_count(pair->a), rows_of_b = row_count(pair->b);
    return (rows_of_a > rows_of_b ? rows_of_a : rows_of_b) - 1;
}

// Adds `rows` rows. The first one is `distance` rows before the last row of the messages.
INLINE void step(struct pair *pair, size_t distance, size_t rows)
{
    // Two sums, because a product waits for the previous product of the same sum.
    sum products[2] = {zero(), zero()};
    UNROLL for (size_t i = 0; i + 1 < rows; i++)
        products[i % 2] =
            plus_product(products[i % 2], row(pair->a, pair->b, distance + 1 + i - rows),
                         &pair->factors[i]);
    // Last, because it depends on the previous step.
    const struct number first = plus(pair->sum, row(pair->a, pair->b, distance));
    products[1] = plus_product(products[1], first, &pair->factors[rows - 1]);
    pair->sum = carry(total(products));
}

// Adds all rows except the last of `count` pairs. All have the same number of rows. Interleaving them hides
// latency.
INLINE void sum_before_last(struct pair *pairs, size_t count)
{
    size_t distance = rows_before_last(pairs);
    UNROLL for (size_t i = 0; i < count; i++)
        memset(&pairs[i].sum, 0, sizeof pairs[i].sum);
    UNROLL for (size_t rows = 1; rows < step_rows; rows *= 2)
        if (distance & rows) {
            UNROLL for (size_t i = 0; i < count; i++)
                step(&pairs[i], distance, rows);
            distance -= rows;
        }
    for (; distance > 0; distance -= step_rows)
        UNROLL for (size_t i = 0; i < count; i++)
            step(&pairs[i], distance, step_rows);
}

INLINE void begin(struct pair *pair, const struct powers *powers, size_t first,
                  const struct clanes_packet *const packets[2])
{
    pair->a = message_of(packets[0]);
    pair->b = message_of(packets[1]);
    pair->factors[0] = factor_of(&powers->of4, first);
    pair->factors[1] = factor_of(&powers->of8, first);
    // Short messages need no other factors.
    if (rows_before_last(pair) < step_rows)
        return;
    pair->factors[2] = factor_of(&powers->of12, first);
    pair->factors[3] = factor_of(&powers->of16, first);
}

// Adds the last row and returns the number in each lane.
INLINE struct number end(const struct pair *pair, const struct powers *powers, size_t first)
{
    const struct message a = pair->a, b = pair->b;
    const struct factor last = last_factor(powers, first);
    const struct number row =
        blocks(load_last(a), load_last(b), words_at(a.offset) | 0xc0, words_at(b.offset) | 0xc0);
    return carry(plus_product(zero(), plus(pair->sum, row), &last));
}

// Sums the lanes of each message of two pairs: those of `a` to lanes 0 and 1, those of `b` to 4 and 5.
INLINE struct number sum_of_blocks(struct number a, struct number b)
{
    struct number n;
    UNROLL for (int i = 0; i < 3; i++) {
        const vector two = _mm512_add_epi64(_mm512_shuffle_i64x2(a.limb[i], b.limb[i], 0x44),
                                            _mm512_shuffle_i64x2(a.limb[i], b.limb[i], 0xee));
        n.limb[i] = _mm512_add_epi64(two, _mm512_shuffle_i64x2(two, two, 0xb1));
    }
    return n;
}

// Poly1305 of `tag_count` packets, before the pad is added.
TARGET static void polynomials(const struct powers *powers, size_t first,
                               const struct clanes_packet *const packets[tag_count],
                               uint64_t sums[tag_count][2])
{
    struct pair pairs[tag_count / 2];
    begin(&pairs[0], powers, first, packets);
    begin(&pairs[1], powers, first + 2, packets + 2);
    if (rows_before_last(&pairs[0]) == rows_before_last(&pairs[1])) {
        sum_before_last(pairs, 2);
    } else {
        // A loop over the two is slower at all lengths.
        sum_before_last(&pairs[0], 1);
        sum_before_last(&pairs[1], 1);
    }
    vector low, high;
    reduce(sum_of_blocks(end(&pairs[0], powers, first), end(&pairs[1], powers, first + 2)), &low,
           &high);
    const vector even = _mm512_unpacklo_epi64(low, high), odd = _mm512_unpackhi_epi64(low, high);
    _mm_storeu_si128((__m128i *)sums[0], _mm512_castsi512_si128(even));
    _mm_storeu_si128((__m128i *)sums[1], _mm512_castsi512_si128(odd));
    _mm_storeu_si128((__m128i *)sums[2], _mm512_extracti64x2_epi64(even, 2));
    _mm_storeu_si128((__m128i *)sums[3], _mm512_extracti64x2_epi64(odd, 2));
}

TARGET static void make_tags(struct tags *tags)
{
    static uint8_t nothing[1];
    const struct clanes_packet none = {.text = nothing};
    const size_t first = tags->made, left = tags->count - first;
    const size_t count = left < tag_count ? left : tag_count;
    const struct clanes_packet *packets[tag_count];
    for (size_t i = 0; i < tag_count; i++)
        packets[i] = i < count ? &tags->packets[first + i] : &none;
    if (first % power_lanes == 0)
        make_powers(&tags->progress.powers, &tags->keys[first], left);
    uint64_t sums[tag_count][2];
    polynomials(&tags->progress.powers, first % power_lanes, packets, sums);
    for (size_t i = 0; i < count; i++)
        finish_tag(tags, sums[i]);
    memset(sums, 0, sizeof sums);
    __asm__ volatile("" : : "r"(sums) : "memory");
}

// Makes tags in groups of `tag_count`. A smaller rest waits for the end of the run.
TARGET static void make_ready_tags(struct tags *tags)
{
    while (tags->made + tag_count <= tags->packet)
        make_tags(tags);
}

#endif
