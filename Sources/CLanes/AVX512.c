// 16 blocks of ChaCha20 in the 32-bit lanes of 512-bit vectors, and Poly1305 of two packets, four
// blocks of each at a time, in their 64-bit lanes.
#if defined(__x86_64__)

#include <immintrin.h>
#include <stddef.h>
#include <string.h>

#include "Kernels.h"

// tune: a Zen 5, too, needs 0.97 of the time that it needs without. It was not measured on others.
#define TARGET                                                                                     \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,avx512vbmi2,tune=znver4")))
#define INLINE TARGET __attribute__((always_inline)) static inline
#define UNROLL _Pragma("clang loop unroll(full)")

typedef __m512i vector;

enum {
    width = 16, lane_count = 2 * width, power_lanes = 8,
    row_size = 64, step_rows = 4, tag_count = 4,
};

// ChaCha20. Vector w of a pass holds word w of 16 blocks. Two passes are interleaved, which fill the
// 32 registers: one alone waits for its own results on some processors.

INLINE void quarter_round(vector *a, vector *b, vector *c, vector *d)
{
    *a = _mm512_add_epi32(*a, *b);
    *d = _mm512_rol_epi32(_mm512_xor_si512(*d, *a), 16);
    *c = _mm512_add_epi32(*c, *d);
    *b = _mm512_rol_epi32(_mm512_xor_si512(*b, *c), 12);
    *a = _mm512_add_epi32(*a, *b);
    *d = _mm512_rol_epi32(_mm512_xor_si512(*d, *a), 8);
    *c = _mm512_add_epi32(*c, *d);
    *b = _mm512_rol_epi32(_mm512_xor_si512(*b, *c), 7);
}

// Columns with a shift of 0, diagonals with 1.
INLINE void round_of(vector x[][16], int passes, int shift)
{
    UNROLL for (int w = 0; w < 4; w++)
        UNROLL for (int p = 0; p < passes; p++)
            quarter_round(&x[p][w], &x[p][4 + (w + shift) % 4], &x[p][8 + (w + 2 * shift) % 4],
                          &x[p][12 + (w + 3 * shift) % 4]);
}

// Blocks n, n + 4, n + 8 and n + 12, of which `words[w]` has words 4 w to 4 w + 3 in its quarters.
INLINE void store_four(uint8_t rows[][64], const vector words[4])
{
    const vector a = _mm512_shuffle_i32x4(words[0], words[1], 0x44);
    const vector b = _mm512_shuffle_i32x4(words[0], words[1], 0xee);
    const vector c = _mm512_shuffle_i32x4(words[2], words[3], 0x44);
    const vector d = _mm512_shuffle_i32x4(words[2], words[3], 0xee);
    _mm512_store_si512(rows[0], _mm512_shuffle_i32x4(a, c, 0x88));
    _mm512_store_si512(rows[4], _mm512_shuffle_i32x4(a, c, 0xdd));
    _mm512_store_si512(rows[8], _mm512_shuffle_i32x4(b, d, 0x88));
    _mm512_store_si512(rows[12], _mm512_shuffle_i32x4(b, d, 0xdd));
}

// From word by word to block by block: within the quarters of the vectors first, then between them.
INLINE void store_blocks(uint8_t rows[][64], const vector x[16])
{
    vector words[4][4];
    UNROLL for (int w = 0; w < 4; w++) {
        const vector *v = &x[4 * w];
        const vector a = _mm512_unpacklo_epi32(v[0], v[1]), b = _mm512_unpackhi_epi32(v[0], v[1]);
        const vector c = _mm512_unpacklo_epi32(v[2], v[3]), d = _mm512_unpackhi_epi32(v[2], v[3]);
        words[0][w] = _mm512_unpacklo_epi64(a, c);
        words[1][w] = _mm512_unpackhi_epi64(a, c);
        words[2][w] = _mm512_unpacklo_epi64(b, d);
        words[3][w] = _mm512_unpackhi_epi64(b, d);
    }
    UNROLL for (int n = 0; n < 4; n++)
        store_four(rows + n, words[n]);
}

INLINE void make_passes(uint8_t rows[][64], const vector common[16], const uint32_t *block,
                        const uint32_t *counter, int passes)
{
    vector x[2][16];
    UNROLL for (int p = 0; p < passes; p++) {
        UNROLL for (int w = 0; w < 16; w++)
            x[p][w] = common[w];
        x[p][12] = _mm512_load_si512(block + p * width);
        x[p][14] = _mm512_load_si512(counter + p * width);
    }
    for (int i = 0; i < 10; i++) {
        round_of(x, passes, 0);
        round_of(x, passes, 1);
    }
    UNROLL for (int p = 0; p < passes; p++) {
        UNROLL for (int w = 0; w < 16; w++)
            if (w != 12 && w != 14)
                x[p][w] = _mm512_add_epi32(x[p][w], common[w]);
        x[p][12] = _mm512_add_epi32(x[p][12], _mm512_load_si512(block + p * width));
        x[p][14] = _mm512_add_epi32(x[p][14], _mm512_load_si512(counter + p * width));
        store_blocks(rows + p * width, x[p]);
    }
}

INLINE vector broadcast(uint32_t word)
{
    return _mm512_set1_epi32((int)word);
}

// Of Tags.h, which comes behind struct progress. No tags are made meanwhile.
struct tags;

TARGET static void key_stream(uint8_t rows[][64], const vector common[16], const uint32_t *block,
                              const uint32_t *counter, size_t lanes, struct tags *tags)
{
    (void)tags;
    if (lanes > width)
        make_passes(rows, common, block, counter, 2);
    else
        make_passes(rows, common, block, counter, 1);
}

TARGET static void apply(uint8_t *text, const uint8_t *row, size_t length)
{
    for (; length >= 64; text += 64, row += 64, length -= 64)
        _mm512_storeu_si512(
            text, _mm512_xor_si512(_mm512_loadu_si512(text), _mm512_load_si512(row)));
    if (length == 0)
        return;
    // What the mask leaves out is neither read nor written.
    const __mmask64 mask = ~0ULL >> (64 - length);
    const vector some = _mm512_maskz_loadu_epi8(mask, text);
    _mm512_mask_storeu_epi8(text, mask, _mm512_xor_si512(some, _mm512_load_si512(row)));
}

// Poly1305. A number is three limbs of 44, 44 and 42 bits, one number a lane. The products of limbs are
// added up by their lower and upper 52 bits; what is a limb too high comes back as 20 times of it, since
// 2^132 is 20 modulo 2^130 - 5.
//
// What is multiplied has limbs of 44, 44 and 41 bits; of 45, 45 and 43 where the sum so far is added to it,
// in the first row of a step and in the last of all. A factor has 44 and a little, 44 and 42, and 20 times
// that. So the twelve products of four rows stay below 2^56, and the sums of upper halves, which carry()
// multiplies by 20 · 2^8, 2^8 and 2^8 to 52 bits at most, below 2^39, 2^44 and 2^44.

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

// r to the power of 1, 2, 3, 4, 8, 12 and 16, of eight packets.
struct powers {
    struct number of1, of2, of3, of4, of8, of12, of16;
};

struct progress {
    struct powers powers;
};

#include "Tags.h"

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

// Limb 0 last: carry() has it last.
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

// The upper 52 bits of a product weigh 2^52, which is 2^8 of the next limb; shifts and sums in one by
// multiplication.
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

// Numbers of 128 bits.
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

// r of each packet, from its one-time key.
INLINE struct number multipliers(const uint8_t keys[][32], size_t count)
{
    _Alignas(row_size) uint64_t low[power_lanes] = {0}, high[power_lanes] = {0};
    for (size_t i = 0; i < power_lanes && i < count; i++) {
        memcpy(&low[i], keys[i], sizeof low[i]);
        memcpy(&high[i], keys[i] + sizeof low[i], sizeof high[i]);
    }
    // §2.5: some bits of r are zero.
    const struct number r = split(*(const vector *)low & ALL(0x0ffffffc0fffffff),
                                  *(const vector *)high & ALL(0x0ffffffc0ffffffc));
    memset(low, 0, sizeof low);
    memset(high, 0, sizeof high);
    __asm__ volatile("" : : "r"(low), "r"(high) : "memory");
    return r;
}

// The text, padded to blocks of 16 bytes, and a block with the lengths. It is read in rows of some
// blocks, which end together: the last row has the lengths, so the others can be loaded as they are, and
// only the first may begin before the text does.
struct message {
    const uint8_t *text;
    ptrdiff_t length;
    // Of the last row.
    ptrdiff_t offset;
};

INLINE struct message message_of(const struct clanes_packet *packet)
{
    const ptrdiff_t length = (ptrdiff_t)packet->length;
    return (struct message){packet->text, length, (length + 15) / 16 * 16 + 16 - row_size};
}

INLINE size_t row_count(struct message m)
{
    return (size_t)(m.offset + row_size + row_size - 1) / row_size;
}

// The blocks of two messages in the row that is `distance` rows before the last.
INLINE struct number row(struct message a, struct message b, size_t distance);

// Two messages. `factors[i]` is what a row is multiplied by if i more follow it in its step; `sum` is that
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

// Adds `rows` rows, the first of which is `distance` rows before the last.
INLINE void step(struct pair *pair, size_t distance, size_t rows)
{
    // Two sums, as each product waits for the one before it in its sum.
    sum products[2] = {zero(), zero()};
    UNROLL for (size_t i = 0; i + 1 < rows; i++)
        products[i % 2] =
            plus_product(products[i % 2], row(pair->a, pair->b, distance + 1 + i - rows),
                         &pair->factors[i]);
    // What has to wait for the step before comes last.
    const struct number first = plus(pair->sum, row(pair->a, pair->b, distance));
    products[1] = plus_product(products[1], first, &pair->factors[rows - 1]);
    pair->sum = carry(total(products));
}

// Adds all rows but the last of `count` pairs of as many rows. What one pair has to wait for leaves time
// for another.
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

// Two of eight lanes, for all blocks of the two packets.
INLINE vector pair_of(const vector *eight, size_t first)
{
    return _mm512_broadcast_i64x2(_mm_load_si128((const __m128i *)((const uint64_t *)eight + first)));
}

INLINE struct factor factor_of(const struct number *power, size_t first)
{
    return factor((struct number){{pair_of(&power->limb[0], first), pair_of(&power->limb[1], first),
                                   pair_of(&power->limb[2], first)}});
}

// What the four blocks of the last row are multiplied by: a power less each.
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

// The words of a row that lie in the text; two a block.
INLINE __mmask8 words_at(ptrdiff_t offset)
{
    if (offset >= 0)
        return 0xff;
    return offset <= -64 ? 0 : (__mmask8)(0xff << (-offset / 8));
}

INLINE vector load(struct message m, ptrdiff_t offset)
{
    const __mmask8 words = words_at(offset);
    // Masked words are not read; but it is slow to read none where there may be no page.
    if (words == 0)
        return _mm512_setzero_si512();
    return _mm512_maskz_loadu_epi64(words, (const void *)((uintptr_t)m.text + (uintptr_t)offset));
}

INLINE vector load_last(struct message m)
{
    __mmask64 bytes = (1ULL << (m.length - m.offset)) - 1;
    if (m.offset < 0)
        bytes &= ~0ULL << -m.offset;
    vector v = _mm512_setzero_si512();
    if (bytes != 0)
        v = _mm512_maskz_loadu_epi8(bytes, (const void *)((uintptr_t)m.text + (uintptr_t)m.offset));
    // There is no additional data.
    return _mm512_mask_set1_epi64(v, 0x80, m.length);
}

// Two rows become four blocks of both packets; each block that is there has a bit above it.
INLINE struct number blocks(vector a, vector b, __mmask8 words_of_a, __mmask8 words_of_b)
{
    struct number n = split(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    const __mmask8 is_there = (words_of_a & 0x55) | (words_of_b & 0xaa);
    n.limb[2] = _mm512_mask_or_epi64(n.limb[2], is_there, n.limb[2], ALL(1LL << 40));
    return n;
}

INLINE struct number row(struct message a, struct message b, size_t distance)
{
    const ptrdiff_t at_a = a.offset - 64 * (ptrdiff_t)distance;
    const ptrdiff_t at_b = b.offset - 64 * (ptrdiff_t)distance;
    if (at_a >= 0 && at_b >= 0)
        return blocks(
            _mm512_loadu_si512(a.text + at_a), _mm512_loadu_si512(b.text + at_b), 0xff, 0xff);
    return blocks(load(a, at_a), load(b, at_b), words_at(at_a), words_at(at_b));
}

INLINE void move_up(struct number *n, int i)
{
    n->limb[i + 1] = _mm512_add_epi64(n->limb[i + 1], _mm512_srli_epi64(n->limb[i], 44));
    n->limb[i] = _mm512_and_si512(n->limb[i], ALL(limb44));
}

// Less 2^130 - 5 if it is that or more, and without what is above 2^128, in words of 64 bits. The limbs
// have 47, 46 and 44 bits: they are those of four numbers.
INLINE void reduce(struct number n, vector *low, vector *high)
{
    move_up(&n, 0);
    move_up(&n, 1);
    // Afterwards it is 2^130 + 20 at the most: to subtract once is enough.
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

INLINE void begin(struct pair *pair, const struct powers *powers, size_t first,
                  const struct clanes_packet *const packets[2])
{
    pair->a = message_of(packets[0]);
    pair->b = message_of(packets[1]);
    pair->factors[0] = factor_of(&powers->of4, first);
    pair->factors[1] = factor_of(&powers->of8, first);
    // Short messages need no more.
    if (rows_before_last(pair) < step_rows)
        return;
    pair->factors[2] = factor_of(&powers->of12, first);
    pair->factors[3] = factor_of(&powers->of16, first);
}

// The last row.
INLINE struct number end(const struct pair *pair, const struct powers *powers, size_t first)
{
    const struct message a = pair->a, b = pair->b;
    const struct factor last = last_factor(powers, first);
    const struct number row =
        blocks(load_last(a), load_last(b), words_at(a.offset) | 0xc0, words_at(b.offset) | 0xc0);
    return carry(plus_product(zero(), plus(pair->sum, row), &last));
}

// The sums of the blocks of two pairs: the messages of `a` in lanes 0 and 1, those of `b` in 4 and 5.
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

// Poly1305 of packets, without the pad.
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
        // A loop over the two is slower, whatever the lengths.
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
        settle(tags, sums[i]);
    memset(sums, 0, sizeof sums);
    __asm__ volatile("" : : "r"(sums) : "memory");
}

// As many as are made at once; those that are left over wait for the end.
TARGET static void make_ready_tags(struct tags *tags)
{
    while (tags->made + tag_count <= tags->packet)
        make_tags(tags);
}

#include "Batch.h"

TARGET void clanes_process_avx512(struct clanes_packet *packets, size_t count, const uint8_t *key,
                                  enum direction direction)
{
    process(packets, count, key, direction);
    // The key, broadcast, and what else is left in registers.
    __asm__ volatile(
        "vzeroall\n\t"
        "vpxord %%zmm16, %%zmm16, %%zmm16\n\t" "vpxord %%zmm17, %%zmm17, %%zmm17\n\t"
        "vpxord %%zmm18, %%zmm18, %%zmm18\n\t" "vpxord %%zmm19, %%zmm19, %%zmm19\n\t"
        "vpxord %%zmm20, %%zmm20, %%zmm20\n\t" "vpxord %%zmm21, %%zmm21, %%zmm21\n\t"
        "vpxord %%zmm22, %%zmm22, %%zmm22\n\t" "vpxord %%zmm23, %%zmm23, %%zmm23\n\t"
        "vpxord %%zmm24, %%zmm24, %%zmm24\n\t" "vpxord %%zmm25, %%zmm25, %%zmm25\n\t"
        "vpxord %%zmm26, %%zmm26, %%zmm26\n\t" "vpxord %%zmm27, %%zmm27, %%zmm27\n\t"
        "vpxord %%zmm28, %%zmm28, %%zmm28\n\t" "vpxord %%zmm29, %%zmm29, %%zmm29\n\t"
        "vpxord %%zmm30, %%zmm30, %%zmm30\n\t" "vpxord %%zmm31, %%zmm31, %%zmm31\n\t"
        CLEAR_GENERAL
        : : : GENERAL,
        "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20",
        "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30",
        "xmm31");
}

#endif
