// 8 blocks of ChaCha20 in the 32-bit lanes of 256-bit vectors, and Poly1305 of one packet in general
// registers, a few blocks between two rounds: each leaves most of what the other needs idle.
#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "Kernels.h"

#define TARGET __attribute__((target("avx2,bmi2")))
#define INLINE TARGET __attribute__((always_inline)) static inline
#define COLD TARGET __attribute__((noinline)) static
#define UNROLL _Pragma("clang loop unroll(full)")

typedef __m256i vector;

enum { width = 8, lane_count = 2 * width };

// Poly1305. The sum is h0 + 2^64 h1 + 2^128 h2, as is r without h2; what is too high comes back as 5/4 of
// it, since 2^130 is 5 modulo 2^130 - 5 and r1 a multiple of 4. h2 is at most 4 from block to block, so at
// most 6 when it is multiplied, and r0 and r1 are below 2^60: no sum of products reaches 2^127.

typedef unsigned __int128 wide;

struct chain {
    uint64_t h0, h1, h2, r0, r1, r1_5_4;
};

struct progress {
    struct chain chain;
    // What is to be added next.
    const uint8_t *text;
    // Whether the chain is that of the packet in turn.
    bool is_begun;
};

#include "Tags.h"

INLINE void add(struct chain *c, uint64_t low, uint64_t high)
{
    unsigned long long h0, h1, h2;
    unsigned char carry = _addcarry_u64(0, c->h0, low, &h0);
    carry = _addcarry_u64(carry, c->h1, high, &h1);
    // The bit above each block.
    _addcarry_u64(carry, c->h2, 1, &h2);
    const wide product0 = (wide)h0 * c->r0 + (wide)h1 * c->r1_5_4;
    const wide product1 =
        (wide)h0 * c->r1 + (wide)h1 * c->r0 + h2 * c->r1_5_4 + (uint64_t)(product0 >> 64);
    const uint64_t top = h2 * c->r0 + (uint64_t)(product1 >> 64);
    // 5/4 of what is above two bits, of which a quarter and the whole.
    carry = _addcarry_u64(0, (uint64_t)product0, (top >> 2) + (top & ~3ULL), &h0);
    carry = _addcarry_u64(carry, (uint64_t)product1, 0, &h1);
    c->h0 = h0;
    c->h1 = h1;
    c->h2 = (top & 3) + carry;
}

INLINE void add_blocks(struct progress *progress, size_t count)
{
    UNROLL for (size_t i = 0; i < count; i++, progress->text += 16) {
        uint64_t block[2];
        memcpy(block, progress->text, sizeof block);
        add(&progress->chain, block[0], block[1]);
    }
}

// Begins with the next packet, if its one-time key is there.
INLINE void begin(struct tags *tags)
{
    struct progress *progress = &tags->progress;
    struct chain *c = &progress->chain;
    progress->is_begun = tags->made < tags->known;
    if (!progress->is_begun)
        return;
    progress->text = tags->packets[tags->made].text;
    c->h0 = c->h1 = c->h2 = 0;
    memcpy(&c->r0, tags->keys[tags->made], sizeof c->r0);
    memcpy(&c->r1, tags->keys[tags->made] + sizeof c->r0, sizeof c->r1);
    // §2.5: some bits of r are zero.
    c->r0 &= 0x0ffffffc0fffffff;
    c->r1 &= 0x0ffffffc0ffffffc;
    c->r1_5_4 = c->r1 + (c->r1 >> 2);
}

// The text padded to blocks, the lengths, and less 2^130 - 5 if it is that or more.
INLINE void end(struct tags *tags)
{
    struct chain c = tags->progress.chain;
    const struct clanes_packet *packet = &tags->packets[tags->made];
    const size_t left = (size_t)(packet->text + packet->length - tags->progress.text);
    if (left > 0) {
        uint64_t block[2] = {0};
        memcpy(block, tags->progress.text, left);
        add(&c, block[0], block[1]);
    }
    // There is no additional data.
    add(&c, 0, packet->length);
    unsigned long long low, high;
    unsigned char carry = _addcarry_u64(0, c.h0, 5, &low);
    carry = _addcarry_u64(carry, c.h1, 0, &high);
    const uint64_t is_more = 0 - ((c.h2 + carry) >> 2);
    const uint64_t sum[2] = {(c.h0 & ~is_more) | (low & is_more),
                             (c.h1 & ~is_more) | (high & is_more)};
    settle(tags, sum);
    tags->progress.is_begun = false;
}

// The whole blocks of the packet in turn that are ciphertext and were not added.
INLINE size_t ready_blocks(const struct tags *tags)
{
    if (!tags->progress.is_begun || tags->made > tags->packet)
        return 0;
    const struct clanes_packet *packet = &tags->packets[tags->made];
    const size_t end = tags->made < tags->packet ? packet->length : tags->offset;
    return (size_t)(packet->text + end - tags->progress.text) / 16;
}

// Adds the blocks that are ready, with nothing else to do meanwhile.
INLINE void add_ready_blocks(struct tags *tags)
{
    struct progress progress = tags->progress;
    for (size_t left = ready_blocks(tags); left > 0; left--)
        add_blocks(&progress, 1);
    tags->progress = progress;
}

// What is left of the next tag.
COLD void make_tags(struct tags *tags)
{
    if (!tags->progress.is_begun)
        begin(tags);
    add_ready_blocks(tags);
    end(tags);
}

// The blocks of Poly1305 in a double round: a pass makes 32 blocks of ciphertext in ten of them.
enum { blocks_per_round = 3 };

// Of the packet in turn, too few blocks for a round are left. On to the next packet, if it is whole: how
// many blocks are ready then.
COLD size_t move_on(struct tags *tags)
{
    if (ready_blocks(tags) < blocks_per_round) {
        add_ready_blocks(tags);
        if (tags->progress.is_begun && tags->made < tags->packet)
            end(tags);
    }
    if (!tags->progress.is_begun)
        begin(tags);
    return ready_blocks(tags);
}

// The same. Without this the compiler keeps numbers of the chain in vectors, all of which are needed.
INLINE struct progress in_registers(struct progress p)
{
    struct chain *c = &p.chain;
    __asm__("" : "+r"(c->h0), "+r"(c->h1), "+r"(c->h2), "+r"(c->r0), "+r"(c->r1), "+r"(c->r1_5_4));
    return p;
}

// Tags are made during the passes.
INLINE void make_ready_tags(struct tags *tags)
{
    (void)tags;
}

// ChaCha20. Vector w of a pass holds word w of 8 blocks.

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

// Four words of a block from each half of `v`.
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
    struct progress progress = in_registers(tags->progress);
    vector by16 = _mm256_set_epi64x(0x0d0c0f0e09080b0a, 0x0504070601000302,
                                    0x0d0c0f0e09080b0a, 0x0504070601000302);
    vector by8 = _mm256_set_epi64x(0x0e0d0c0f0a09080b, 0x0605040702010003,
                                   0x0e0d0c0f0a09080b, 0x0605040702010003);
    // In memory, as the state takes all registers; and so that the compiler does not know them, for it
    // would rotate by 16 with two instructions, one after the other.
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
            tags->progress = in_registers(progress);
            left = move_on(tags);
            has_more = left >= blocks_per_round;
            progress = in_registers(tags->progress);
        }
        UNROLL for (int w = 0; w < 4; w++)
            quarter_round(&x[w], &x[4 + (w + 1) % 4], &x[8 + (w + 2) % 4], &x[12 + (w + 3) % 4],
                          by16, by8);
    }
    tags->progress = in_registers(progress);
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

#include "Batch.h"

TARGET void clanes_process_avx2(struct clanes_packet *packets, size_t count, const uint8_t *key,
                                enum direction direction)
{
    process(packets, count, key, direction);
    // The key, broadcast, those of Poly1305, and what else is left in registers.
    __asm__ volatile(
        "vzeroall\n\t"
        CLEAR_GENERAL
        : : : GENERAL,
        "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

#endif
