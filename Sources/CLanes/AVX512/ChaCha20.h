// ChaCha20 of 16 blocks at a time for AVX-512: vector w of a pass holds word w of 16 blocks. Two passes are
// interleaved and fill the 32 registers. On some processors one pass alone waits for its own results.
#ifndef AVX512_CHACHA20_H
#define AVX512_CHACHA20_H

#include <stddef.h>
#include <stdint.h>

#include "Target.h"

enum { width = 16, lane_count = 2 * width };

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

// A column round with `shift` 0, a diagonal round with 1.
INLINE void round_of(vector x[][16], int passes, int shift)
{
    UNROLL for (int w = 0; w < 4; w++)
        UNROLL for (int p = 0; p < passes; p++)
            quarter_round(&x[p][w], &x[p][4 + (w + shift) % 4], &x[p][8 + (w + 2 * shift) % 4],
                          &x[p][12 + (w + 3 * shift) % 4]);
}

// Stores blocks n, n + 4, n + 8 and n + 12. `words[w]` has words 4 w to 4 w + 3 of each in a quarter.
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

// Transposes words to blocks: first within the quarters of the vectors, then between them.
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

// The AVX2 code computes tags between the rounds. Here, computing them separately is faster.
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
    // Masked bytes are neither read nor written.
    const __mmask64 mask = ~0ULL >> (64 - length);
    const vector some = _mm512_maskz_loadu_epi8(mask, text);
    _mm512_mask_storeu_epi8(text, mask, _mm512_xor_si512(some, _mm512_load_si512(row)));
}

#endif
