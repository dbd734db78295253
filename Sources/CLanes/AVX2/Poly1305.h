// Poly1305 of one packet after the other in general registers, for AVX2.
//
// The sum is h0 + 2^64 h1 + 2^128 h2, and r has the same form without h2. 2^130 is 5 modulo 2^130 - 5
// and r1 is a multiple of 4, so what exceeds 128 bits in a product is added again as 5/4 of it, and what
// exceeds 130 bits in the sum as 5 times it. h2 is at most 4 between blocks, so at most 6 in a
// multiplication, and r0 and r1 are below 2^60. No sum of products reaches 2^127.
#ifndef AVX2_POLY1305_H
#define AVX2_POLY1305_H

#include <string.h>

#include "../Kernels.h"
#include "Target.h"

typedef unsigned __int128 wide;

struct chain {
    uint64_t h0, h1, h2, r0, r1, r1_5_4;
};

struct progress {
    struct chain chain;
    // The next block to add.
    const uint8_t *text;
    // Whether the chain belongs to the next packet.
    bool is_begun;
};

#include "../Tags.h"

INLINE void add(struct chain *c, uint64_t low, uint64_t high)
{
    unsigned long long h0, h1, h2;
    unsigned char carry = _addcarry_u64(0, c->h0, low, &h0);
    carry = _addcarry_u64(carry, c->h1, high, &h1);
    // Each block has a bit above its highest byte.
    _addcarry_u64(carry, c->h2, 1, &h2);
    const wide product0 = (wide)h0 * c->r0 + (wide)h1 * c->r1_5_4;
    const wide product1 =
        (wide)h0 * c->r1 + (wide)h1 * c->r0 + h2 * c->r1_5_4 + (uint64_t)(product0 >> 64);
    const uint64_t top = h2 * c->r0 + (uint64_t)(product1 >> 64);
    // 5 times the bits of `top` above the lowest two: once shifted down by two, and four times.
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

// Begins the next packet, if its one-time key is known.
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
    // RFC 8439, 2.5: some bits of r are cleared.
    c->r0 &= 0x0ffffffc0fffffff;
    c->r1 &= 0x0ffffffc0ffffffc;
    c->r1_5_4 = c->r1 + (c->r1 >> 2);
}

// Adds the last partial block and the lengths, and subtracts 2^130 - 5 if the sum is at least that.
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
    finish_tag(tags, sum);
    tags->progress.is_begun = false;
}

// The number of whole blocks of the next packet that are ciphertext and not yet added.
INLINE size_t ready_blocks(const struct tags *tags)
{
    if (!tags->progress.is_begun || tags->made > tags->packet)
        return 0;
    const struct clanes_packet *packet = &tags->packets[tags->made];
    const size_t end = tags->made < tags->packet ? packet->length : tags->offset;
    return (size_t)(packet->text + end - tags->progress.text) / 16;
}

// Adds the ready blocks without interleaving other work.
INLINE void add_ready_blocks(struct tags *tags)
{
    struct progress progress = tags->progress;
    for (size_t left = ready_blocks(tags); left > 0; left--)
        add_blocks(&progress, 1);
    tags->progress = progress;
}

// Completes the next tag.
COLD void make_tags(struct tags *tags)
{
    if (!tags->progress.is_begun)
        begin(tags);
    add_ready_blocks(tags);
    end(tags);
}

// The blocks of Poly1305 in a double round of ChaCha20. A pass produces 32 blocks of ciphertext in ten
// double rounds.
enum { blocks_per_round = 3 };

// Called when too few blocks for a round are ready. Finishes the packet if all of it is ciphertext, and
// begins the next one. Returns the number of blocks that are ready then.
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

// Returns `p` unchanged. Without this the compiler keeps the chain in vector registers, and ChaCha20 needs
// all of them.
INLINE struct progress in_general_registers(struct progress p)
{
    struct chain *c = &p.chain;
    __asm__("" : "+r"(c->h0), "+r"(c->h1), "+r"(c->h2), "+r"(c->r0), "+r"(c->r1), "+r"(c->r1_5_4));
    return p;
}

// Does nothing: tags are made during the passes.
INLINE void make_ready_tags(struct tags *tags)
{
    (void)tags;
}

#endif
