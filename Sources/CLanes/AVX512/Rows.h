// The texts of two packets as rows of blocks, for Poly1305 with AVX-512.
#ifndef AVX512_ROWS_H
#define AVX512_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "CLanes.h"
#include "Numbers.h"
#include "Target.h"

enum { row_size = 64 };

// The text, padded to blocks of 16 bytes, followed by a block with the lengths. It is read in rows of four
// blocks, aligned to its end: the last row contains the lengths, the rows before it are loaded whole, and
// only the first one may start before the text.
struct message {
    const uint8_t *text;
    ptrdiff_t length;
    // The offset of the last row.
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

// The words of a row that are in the text. A block has two.
INLINE __mmask8 words_at(ptrdiff_t offset)
{
    if (offset >= 0)
        return 0xff;
    return offset <= -64 ? 0 : (__mmask8)(0xff << (-offset / 8));
}

INLINE vector load(struct message m, ptrdiff_t offset)
{
    const __mmask8 words = words_at(offset);
    // Masked words are not read, but a masked load from an unmapped page is slow.
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

// Combines two rows into four blocks of both packets. Each block that exists has a bit above its highest
// byte.
INLINE struct number blocks(vector a, vector b, __mmask8 words_of_a, __mmask8 words_of_b)
{
    struct number n = split(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    const __mmask8 exists = (words_of_a & 0x55) | (words_of_b & 0xaa);
    n.limb[2] = _mm512_mask_or_epi64(n.limb[2], exists, n.limb[2], ALL(1LL << 40));
    return n;
}

// The blocks of two messages in the row that is `distance` rows before the last.
INLINE struct number row(struct message a, struct message b, size_t distance)
{
    const ptrdiff_t at_a = a.offset - 64 * (ptrdiff_t)distance;
    const ptrdiff_t at_b = b.offset - 64 * (ptrdiff_t)distance;
    if (at_a >= 0 && at_b >= 0)
        return blocks(
            _mm512_loadu_si512(a.text + at_a), _mm512_loadu_si512(b.text + at_b), 0xff, 0xff);
    return blocks(load(a, at_a), load(b, at_b), words_at(at_a), words_at(at_b));
}

#endif
