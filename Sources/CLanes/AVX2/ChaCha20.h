// ChaCha20 of 8 blocks at a time for AVX2: vector w of a pass holds word w of 8 blocks. Between two rounds
// it adds a few blocks of Poly1305: each uses parts of the processor that the other leaves idle.
#ifndef AVX2_CHACHA20_H
#define AVX2_CHACHA20_H

#include <string.h>

#include "Poly1305.h"
#include "Target.h"

enum { width = 8, lane_count = 2 * width };

INLINE vector rotate(vector v, int bits)
{
    return _mm256_or_si256(_mm256_slli_epi32(v, bits), _mm256_srli_epi32(v, 32 - bits));
}

INLINE void quarter_round(vector *a, vector *b, vector *c, vector *d, vector by16, vector by8)
{
    *a = _mm256_add_epi32(*a, *b);
    *d = _mm256_shuffle_epi8(_mm256_xor_si256(*d, *a), by16);
    *c = _mm256_add_epi32(*c, *d);
    *b = rotate(_mm256_xor_si256(*b, *c), 12);
    *a = _mm256_add_epi32(*a, *b);
    *d = _mm256_shuffle_epi8(_mm256_xor_si256(*d, *a), by8);
    *c = _mm256_add_epi32(*c, *d);
    *b = rotate(_mm256_xor_si256(*b, *c), 7);
}

// Stores each half of `v` as four words of a block.
INLINE void store_halves(uint8_t rows[][64], int word, vector v)
{
    _mm_store_si128((__m128i *)&rows[0][4 * word], _mm256_castsi256_si128(v));
    _mm_store_si128((__m128i *)&rows[4][4 * word], _mm256_extracti128_si256(v, 1));
}

INLINE void make_pass(uint8_t rows[][64], const vector common[16], const uint32_t *block,
                      const uint32_t *counter, struct tags *tags)
{
    size_t left = move_on(tags);
    bool has_more = left >= blocks_per_round;
    struct progress progress = in_general_registers(tags->progress);
    vector by16 = _mm256_set_epi64x(0x0d0c0f0e09080b0a, 0x0504070601000302,
                                    0x0d0c0f0e09080b0a, 0x0504070601000302);
    vector by8 = _mm256_set_epi64x(0x0e0d0c0f0a09080b, 0x0605040702010003,
                                   0x0e0d0c0f0a09080b, 0x0605040702010003);
    // Keeps these in memory: the state takes all registers. It also hides their values from the compiler,
    // which would otherwise rotate by 16 with two dependent instructions.
    __asm__("" : "+m"(by16), "+m"(by8));
    vector x[16];
    UNROLL for (int w = 0; w < 16; w++)
        x[w] = common[w];
    x[12] = _mm256_load_si256((const vector *)block);
    x[14] = _mm256_load_si256((const vector *)counter);
    for (int i = 0; i < 10; i++) {
        UNROLL for (int w = 0; w < 4; w++)
            quarter_round(&x[w], &x[4 + w], &x[8 + w], &x[12 + w], by16, by8);
        if (left >= blocks_per_round) {
            add_blocks(&progress, blocks_per_round);
            left -= blocks_per_round;
        } else if (has_more) {
            tags->progress = in_general_registers(progress);
            left = move_on(tags);
            has_more = left >= blocks_per_round;
            progress = in_general_registers(tags->progress);
        }
        UNROLL for (int w = 0; w < 4; w++)
            quarter_round(&x[w], &x[4 + (w + 1) % 4], &x[8 + (w + 2) % 4], &x[12 + (w + 3) % 4],
                          by16, by8);
    }
    tags->progress = in_general_registers(progress);
    UNROLL for (int w = 0; w < 16; w++)
        if (w != 12 && w != 14)
            x[w] = _mm256_add_epi32(x[w], common[w]);
    x[12] = _mm256_add_epi32(x[12], _mm256_load_si256((const vector *)block));
    x[14] = _mm256_add_epi32(x[14], _mm256_load_si256((const vector *)counter));
    // Transposes words to blocks, half of it by choosing where to store.
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

INLINE vector broadcast(uint32_t word)
{
    return _mm256_set1_epi32((int)word);
}

TARGET static void key_stream(uint8_t rows[][64], const vector common[16], const uint32_t *block,
                              const uint32_t *counter, size_t lanes, struct tags *tags)
{
    for (size_t lane = 0; lane < lanes; lane += width)
        make_pass(rows + lane, common, block + lane, counter + lane, tags);
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

#endif
