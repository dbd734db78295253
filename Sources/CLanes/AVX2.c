// 8 blocks of ChaCha20 in the 32-bit lanes of 256-bit vectors, and Poly1305 of two packets, two blocks
// of each at a time, in their 64-bit lanes.
#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "Kernels.h"

#define TARGET __attribute__((target("avx2")))
#define INLINE TARGET __attribute__((always_inline)) static inline
#define UNROLL _Pragma("clang loop unroll(full)")

typedef __m256i vector;

enum { width = 8, lane_count = 4 * width, power_lanes = 4 };

// ChaCha20. Vector w of a pass holds word w of 8 blocks.

INLINE vector rotate(vector v, int bits)
{
    return _mm256_or_si256(_mm256_slli_epi32(v, bits), _mm256_srli_epi32(v, 32 - bits));
}

INLINE void quarter_round(vector *a, vector *b, vector *c, vector *d)
{
    const vector by16 = _mm256_set_epi64x(0x0d0c0f0e09080b0a, 0x0504070601000302,
                                          0x0d0c0f0e09080b0a, 0x0504070601000302);
    const vector by8 = _mm256_set_epi64x(0x0e0d0c0f0a09080b, 0x0605040702010003,
                                         0x0e0d0c0f0a09080b, 0x0605040702010003);
    *a = _mm256_add_epi32(*a, *b);
    *d = _mm256_shuffle_epi8(_mm256_xor_si256(*d, *a), by16);
    *c = _mm256_add_epi32(*c, *d);
    *b = rotate(_mm256_xor_si256(*b, *c), 12);
    *a = _mm256_add_epi32(*a, *b);
    *d = _mm256_shuffle_epi8(_mm256_xor_si256(*d, *a), by8);
    *c = _mm256_add_epi32(*c, *d);
    *b = rotate(_mm256_xor_si256(*b, *c), 7);
}

// Four words of a block from each half of `v`.
INLINE void store_halves(uint8_t rows[][64], int word, vector v)
{
    _mm_store_si128((__m128i *)&rows[0][4 * word], _mm256_castsi256_si128(v));
    _mm_store_si128((__m128i *)&rows[4][4 * word], _mm256_extracti128_si256(v, 1));
}

INLINE void make_pass(uint8_t rows[][64], const vector common[16], const uint32_t *block,
                      const uint32_t *counter)
{
    vector x[16];
    UNROLL for (int w = 0; w < 16; w++)
        x[w] = common[w];
    x[12] = _mm256_load_si256((const vector *)block);
    x[14] = _mm256_load_si256((const vector *)counter);
    for (int i = 0; i < 10; i++) {
        UNROLL for (int w = 0; w < 4; w++)
            quarter_round(&x[w], &x[4 + w], &x[8 + w], &x[12 + w]);
        UNROLL for (int w = 0; w < 4; w++)
            quarter_round(&x[w], &x[4 + (w + 1) % 4], &x[8 + (w + 2) % 4], &x[12 + (w + 3) % 4]);
    }
    UNROLL for (int w = 0; w < 16; w++)
        if (w != 12 && w != 14)
            x[w] = _mm256_add_epi32(x[w], common[w]);
    x[12] = _mm256_add_epi32(x[12], _mm256_load_si256((const vector *)block));
    x[14] = _mm256_add_epi32(x[14], _mm256_load_si256((const vector *)counter));
    // From word by word to block by block: half of the way by where it is stored.
    UNROLL for (int w = 0; w < 16; w += 4) {
        const vector a = _mm256_unpacklo_epi32(x[w], x[w + 1]);
        const vector b = _mm256_unpackhi_epi32(x[w], x[w + 1]);
        const vector c = _mm256_unpacklo_epi32(x[w + 2], x[w + 3]);
        const vector d = _mm256_unpackhi_epi32(x[w + 2], x[w + 3]);
        store_halves(rows, w, _mm256_unpacklo_epi64(a, c));
        store_halves(rows + 1, w, _mm256_unpackhi_epi64(a, c));
        store_halves(rows + 2, w, _mm256_unpacklo_epi64(b, d));
        store_halves(rows + 3, w, _mm256_unpackhi_epi64(b, d));
    }
}

TARGET static void key_stream(uint8_t rows[][64], const uint8_t *key, const uint32_t *block,
                              const uint32_t *counter, uint32_t upper, size_t lanes)
{
    uint32_t words[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, [15] = upper};
    memcpy(&words[4], key, 32);
    vector common[16];
    UNROLL for (int w = 0; w < 16; w++)
        common[w] = _mm256_set1_epi32((int)words[w]);
    for (size_t lane = 0; lane < lanes; lane += width)
        make_pass(rows + lane, common, block + lane, counter + lane);
}

TARGET static void apply(uint8_t *text, const uint8_t *row, size_t length)
{
    for (; length >= 32; text += 32, row += 32, length -= 32)
        _mm256_storeu_si256(
            (vector *)text, _mm256_xor_si256(_mm256_loadu_si256((const vector *)text),
                                             _mm256_load_si256((const vector *)row)));
    for (; length >= 8; text += 8, row += 8, length -= 8) {
        uint64_t a, b;
        memcpy(&a, text, sizeof a);
        memcpy(&b, row, sizeof b);
        a ^= b;
        memcpy(text, &a, sizeof a);
    }
    for (; length > 0; text++, row++, length--)
        *text ^= *row;
}

// Poly1305. A number is five limbs of 26 bits, one number a lane. What is a limb too high comes back as 5
// times of it, since 2^130 is 5 modulo 2^130 - 5. A limb is at most 2^28 when it is multiplied, and a
// factor 2^29, so that sums of ten stay below 2^61.

#define ALL(number) _mm256_set1_epi64x(number)

static const long long limb26 = (1LL << 26) - 1;

struct number {
    vector limb[5];
};

struct factor {
    vector limb[5], limb5[5];
};

// r to the power of 1, 2 and 4, of four packets.
struct powers {
    struct number of1, of2, of4;
};

INLINE struct factor factor(struct number n)
{
    struct factor f;
    UNROLL for (int i = 0; i < 5; i++) {
        f.limb[i] = n.limb[i];
        f.limb5[i] = _mm256_add_epi64(n.limb[i], _mm256_slli_epi64(n.limb[i], 2));
    }
    return f;
}

INLINE struct number zero(void)
{
    const vector v = _mm256_setzero_si256();
    return (struct number){{v, v, v, v, v}};
}

INLINE struct number plus(struct number a, struct number b)
{
    UNROLL for (int i = 0; i < 5; i++)
        a.limb[i] = _mm256_add_epi64(a.limb[i], b.limb[i]);
    return a;
}

INLINE struct number plus_product(struct number sum, struct number n, const struct factor *f)
{
    UNROLL for (int i = 0; i < 5; i++)
        UNROLL for (int j = 0; j < 5; j++) {
            const vector by = i + j < 5 ? f->limb[j] : f->limb5[j];
            sum.limb[(i + j) % 5] =
                _mm256_add_epi64(sum.limb[(i + j) % 5], _mm256_mul_epu32(n.limb[i], by));
        }
    return sum;
}

INLINE struct number carry(struct number n)
{
    const vector mask = ALL(limb26);
    UNROLL for (int i = 0; i < 4; i++) {
        n.limb[i + 1] = _mm256_add_epi64(n.limb[i + 1], _mm256_srli_epi64(n.limb[i], 26));
        n.limb[i] = _mm256_and_si256(n.limb[i], mask);
    }
    const vector over = _mm256_srli_epi64(n.limb[4], 26);
    n.limb[4] = _mm256_and_si256(n.limb[4], mask);
    n.limb[0] = _mm256_add_epi64(n.limb[0], _mm256_add_epi64(over, _mm256_slli_epi64(over, 2)));
    n.limb[1] = _mm256_add_epi64(n.limb[1], _mm256_srli_epi64(n.limb[0], 26));
    n.limb[0] = _mm256_and_si256(n.limb[0], mask);
    return n;
}

INLINE struct number times(struct number a, struct number b)
{
    const struct factor f = factor(b);
    return carry(plus_product(zero(), a, &f));
}

// Numbers of 128 bits.
INLINE struct number split(vector low, vector high)
{
    const vector mask = ALL(limb26);
    const vector middle =
        _mm256_or_si256(_mm256_srli_epi64(low, 52), _mm256_slli_epi64(high, 12));
    return (struct number){{
        _mm256_and_si256(low, mask), _mm256_and_si256(_mm256_srli_epi64(low, 26), mask),
        _mm256_and_si256(middle, mask), _mm256_and_si256(_mm256_srli_epi64(high, 14), mask),
        _mm256_srli_epi64(high, 40),
    }};
}

TARGET static void make_powers(struct powers *powers, const uint8_t keys[][32], size_t count)
{
    _Alignas(32) uint64_t low[power_lanes] = {0}, high[power_lanes] = {0};
    for (size_t i = 0; i < power_lanes && i < count; i++) {
        memcpy(&low[i], keys[i], sizeof low[i]);
        memcpy(&high[i], keys[i] + sizeof low[i], sizeof high[i]);
    }
    // §2.5: some bits of r are zero.
    const struct number r = split(
        _mm256_and_si256(_mm256_load_si256((const vector *)low), ALL(0x0ffffffc0fffffff)),
        _mm256_and_si256(_mm256_load_si256((const vector *)high), ALL(0x0ffffffc0ffffffc)));
    powers->of1 = r;
    powers->of2 = times(r, r);
    powers->of4 = times(powers->of2, powers->of2);
    memset(low, 0, sizeof low);
    memset(high, 0, sizeof high);
    __asm__ volatile("" : : "r"(low), "r"(high) : "memory");
}

// Two of four lanes, for both blocks; the second may be of another power.
INLINE struct factor factor_of(const struct number *power, const struct number *power_of_second,
                               size_t first)
{
    struct number n;
    UNROLL for (int i = 0; i < 5; i++) {
        const uint64_t *one = (const uint64_t *)&power->limb[i] + first;
        const uint64_t *two = (const uint64_t *)&power_of_second->limb[i] + first;
        n.limb[i] = _mm256_inserti128_si256(
            _mm256_castsi128_si256(_mm_load_si128((const __m128i *)one)),
            _mm_load_si128((const __m128i *)two), 1);
    }
    return factor(n);
}

// What Poly1305 is of: the text, padded to blocks of 16 bytes, and a block with the lengths. It is read
// in rows of two blocks, which end together: the last row has the lengths, so the others can be loaded
// as they are, and only the first may begin before the text does.
struct message {
    const uint8_t *text;
    ptrdiff_t length;
    // Of the last row.
    ptrdiff_t offset;
};

INLINE struct message message_of(const struct clanes_packet *packet)
{
    const ptrdiff_t length = (ptrdiff_t)packet->length;
    return (struct message){packet->text, length, (length + 15) / 16 * 16 - 16};
}

INLINE size_t row_count(struct message m)
{
    return (size_t)(m.offset + 16 + 16 + 31) / 32;
}

INLINE vector load(struct message m, ptrdiff_t offset)
{
    if (offset >= 0)
        return _mm256_loadu_si256((const vector *)(m.text + offset));
    const vector zeros = _mm256_setzero_si256();
    if (offset <= -32)
        return zeros;
    return _mm256_inserti128_si256(
        zeros, _mm_loadu_si128((const __m128i *)(m.text + (offset + 16))), 1);
}

INLINE vector load_last(struct message m)
{
    _Alignas(32) uint64_t row[4] = {0};
    if (m.offset >= 0)
        memcpy(row, m.text + m.offset, (size_t)(m.length - m.offset));
    // There is no additional data.
    row[3] = (uint64_t)m.length;
    return _mm256_load_si256((const vector *)row);
}

// The bit above each block that is there.
INLINE vector bits_above(ptrdiff_t at_a, ptrdiff_t at_b)
{
    const long long bit = 1LL << 24;
    return _mm256_set_epi64x(at_b > -32 ? bit : 0, at_a > -32 ? bit : 0, at_b >= 0 ? bit : 0,
                             at_a >= 0 ? bit : 0);
}

// Two rows become two blocks of both packets.
INLINE struct number blocks(vector a, vector b, vector above)
{
    struct number n = split(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
    n.limb[4] = _mm256_or_si256(n.limb[4], above);
    return n;
}

// The row that is `distance` rows before the last.
INLINE struct number row(struct message a, struct message b, size_t distance)
{
    const ptrdiff_t at_a = a.offset - 32 * (ptrdiff_t)distance;
    const ptrdiff_t at_b = b.offset - 32 * (ptrdiff_t)distance;
    if (at_a >= 0 && at_b >= 0)
        return blocks(load(a, at_a), load(b, at_b), ALL(1LL << 24));
    return blocks(load(a, at_a), load(b, at_b), bits_above(at_a, at_b));
}

INLINE void reduce(const uint64_t limb[5][2], int lane, uint64_t sum[2])
{
    uint64_t h[5];
    for (int i = 0; i < 5; i++)
        h[i] = limb[i][lane];
    // The second time for what the first brings back to limb 0, the third for the last of it.
    for (int pass = 0; pass < 3; pass++) {
        for (int i = 0; i < 4; i++) {
            h[i + 1] += h[i] >> 26;
            h[i] &= (uint64_t)limb26;
        }
        h[0] += 5 * (h[4] >> 26);
        h[4] &= (uint64_t)limb26;
    }
    const uint64_t low = h[0] + (h[1] << 26), h2 = h[2] << 52;
    const uint64_t low_h = low + h2;
    const uint64_t high_h = (h[2] >> 12) + (h[3] << 14) + (h[4] << 40) + (low_h < h2);
    // Less 2^130 - 5 if it is that or more.
    const uint64_t low_g = low_h + 5, carried = low_g < 5;
    const uint64_t high_g = high_h + carried, top_g = (h[4] >> 24) + (high_g < carried);
    const uint64_t is_more = 0 - (top_g >> 2);
    sum[0] = (low_h & ~is_more) | (low_g & is_more);
    sum[1] = (high_h & ~is_more) | (high_g & is_more);
}

// Poly1305 of two packets, without the pad.
TARGET static void polynomials(const struct powers *powers, size_t first,
                               const struct clanes_packet *packet_a,
                               const struct clanes_packet *packet_b, uint64_t sums[2][2])
{
    const struct message a = message_of(packet_a), b = message_of(packet_b);
    const struct factor r2 = factor_of(&powers->of2, &powers->of2, first);
    const struct factor r4 = factor_of(&powers->of4, &powers->of4, first);
    const size_t rows_of_a = row_count(a), rows_of_b = row_count(b);
    size_t distance = (rows_of_a > rows_of_b ? rows_of_a : rows_of_b) - 1;
    struct number h = zero();
    if (distance % 2 == 1) {
        h = carry(plus_product(zero(), row(a, b, distance), &r2));
        distance--;
    }
    for (; distance > 0; distance -= 2) {
        const struct number sum = plus_product(zero(), row(a, b, distance - 1), &r2);
        h = carry(plus_product(sum, plus(h, row(a, b, distance)), &r4));
    }
    const struct factor last = factor_of(&powers->of2, &powers->of1, first);
    const vector above =
        _mm256_or_si256(bits_above(a.offset, b.offset), _mm256_set_epi64x(1 << 24, 1 << 24, 0, 0));
    const struct number end = blocks(load_last(a), load_last(b), above);
    h = carry(plus_product(zero(), plus(h, end), &last));
    uint64_t limbs[5][2];
    UNROLL for (int i = 0; i < 5; i++)
        _mm_storeu_si128((__m128i *)limbs[i],
                         _mm_add_epi64(_mm256_castsi256_si128(h.limb[i]),
                                       _mm256_extracti128_si256(h.limb[i], 1)));
    reduce(limbs, 0, sums[0]);
    reduce(limbs, 1, sums[1]);
}

#include "Batch.h"

TARGET void clanes_process_avx2(struct clanes_packet *packets, size_t count, const uint8_t *key,
                                enum direction direction)
{
    process(packets, count, key, direction);
    // The key, broadcast, and what else is left in registers.
    __asm__ volatile(
        "vzeroall"
        : : :
        "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

#endif
