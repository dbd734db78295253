// The order of the work on a batch, whatever the vectors are. Each file for an instruction set includes
// it once, at its end, since all of it has to be compiled for that set. Before, such a file defines
//
//     TARGET            the attribute that names the instruction set
//     lane_count        the blocks of a pass of ChaCha20 at the most
//     power_lanes       the packets whose powers are made at once, an even number
//     struct powers     of their keys of Poly1305
//     key_stream()      the blocks of a pass
//     apply()           a text with its key stream
//     make_powers(), polynomials()
//
// A pass takes its blocks from wherever there are some, so that its lanes are full: first block 0 of
// each packet, which is the one-time key, then the blocks of the texts, packet after packet. To open,
// the tag of a packet is compared before its first block is decrypted; to seal, the tag is made when
// its last block is encrypted. Poly1305 is computed for two packets at a time.

#include <string.h>

#include "Kernels.h"

enum {
    block_size = 64,
    key_size = 32,
    // The packets of a run, whose one-time keys are kept until their turn comes.
    run_size = 64,
};

// Blocks that follow each other in a text, and in a pass.
struct piece {
    size_t packet, block, lane, count;
};

// One key, and packets whose counters have the same upper word.
struct run {
    struct clanes_packet *packets;
    size_t count;
    const uint8_t *key;
    enum direction direction;
    // Where the next pass goes on.
    size_t keys, packet, block;
    // The packets whose tag was made, or compared.
    size_t tags;
    // A pass.
    size_t lanes, piece_count;
    struct piece pieces[lane_count];
};

// What is secret, or next to it: wiped at the end.
struct secrets {
    _Alignas(block_size) uint8_t rows[lane_count][block_size];
    _Alignas(block_size) uint8_t keys[run_size][key_size];
    struct powers powers;
};

static inline size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

TARGET static void make_tags(struct run *run, struct secrets *secrets)
{
    static uint8_t nothing[1];
    const struct clanes_packet none = {.text = nothing};
    const size_t first = run->tags, count = smaller(2, run->count - first);
    struct clanes_packet *packets = &run->packets[first];
    if (first % power_lanes == 0)
        make_powers(&secrets->powers, &secrets->keys[first], run->count - first);
    uint64_t sums[2][2];
    polynomials(&secrets->powers, first % power_lanes, &packets[0], count == 2 ? &packets[1] : &none,
                sums);
    for (size_t i = 0; i < count; i++) {
        struct clanes_packet *packet = &packets[i];
        uint64_t pad[2], tag[2], received[2];
        memcpy(pad, secrets->keys[first + i] + sizeof pad, sizeof pad);
        tag[0] = sums[i][0] + pad[0];
        tag[1] = sums[i][1] + pad[1] + (tag[0] < pad[0]);
        if (run->direction == seals) {
            memcpy(packet->text + packet->length, tag, sizeof tag);
            continue;
        }
        memcpy(received, packet->text + packet->length, sizeof received);
        // The whole tag, whatever differs first.
        packet->is_authentic = ((tag[0] ^ received[0]) | (tag[1] ^ received[1])) == 0;
        if (!packet->is_authentic)
            memset(packet->text, 0, packet->length);
        // Nobody who forged a packet is to find out what its tag should have been.
        memset(tag, 0, sizeof tag);
        __asm__ volatile("" : : "r"(tag) : "memory");
    }
    memset(sums, 0, sizeof sums);
    __asm__ volatile("" : : "r"(sums) : "memory");
    run->tags += count;
}

// Chooses the blocks of a pass; false if there are none left.
TARGET static bool fill(struct run *run, uint32_t block[lane_count], uint32_t counter[lane_count])
{
    size_t lanes = 0;
    run->piece_count = 0;
    for (; lanes < lane_count && run->keys < run->count; lanes++, run->keys++) {
        block[lanes] = 0;
        counter[lanes] = (uint32_t)run->packets[run->keys].counter;
    }
    while (lanes < lane_count && run->packet < run->count) {
        const struct clanes_packet *packet = &run->packets[run->packet];
        const size_t left = (packet->length + block_size - 1) / block_size - run->block;
        const size_t count = smaller(left, lane_count - lanes);
        if (count > 0)
            run->pieces[run->piece_count++] =
                (struct piece){run->packet, run->block, lanes, count};
        for (size_t i = 0; i < count; i++) {
            block[lanes + i] = (uint32_t)(run->block + i) + 1;
            counter[lanes + i] = (uint32_t)packet->counter;
        }
        lanes += count;
        run->block += count;
        if (count == left) {
            run->packet++;
            run->block = 0;
        }
    }
    run->lanes = lanes;
    return lanes > 0;
}

TARGET static void spend(struct run *run, struct secrets *secrets)
{
    for (size_t i = 0; i < run->piece_count; i++) {
        const struct piece piece = run->pieces[i];
        if (run->direction == opens)
            while (run->tags <= piece.packet)
                make_tags(run, secrets);
        const struct clanes_packet *packet = &run->packets[piece.packet];
        if (run->direction == opens && !packet->is_authentic)
            continue;
        const size_t offset = piece.block * block_size;
        apply(packet->text + offset, secrets->rows[piece.lane],
              smaller(packet->length - offset, piece.count * block_size));
    }
    // Of the packets before this one, all blocks were in this pass or before it.
    if (run->direction == seals && run->keys == run->count)
        while (run->tags + 2 <= run->packet)
            make_tags(run, secrets);
}

TARGET static void process_run(struct run *run, struct secrets *secrets)
{
    _Alignas(block_size) uint32_t block[lane_count] = {0}, counter[lane_count] = {0};
    const uint32_t upper = (uint32_t)(run->packets->counter >> 32);
    size_t first = 0;
    while (fill(run, block, counter)) {
        key_stream(secrets->rows, run->key, block, counter, upper, run->lanes);
        for (size_t lane = 0; first < run->keys; first++, lane++)
            memcpy(secrets->keys[first], secrets->rows[lane], key_size);
        spend(run, secrets);
    }
    while (run->tags < run->count)
        make_tags(run, secrets);
}

TARGET static void process(struct clanes_packet *packets, size_t count, const uint8_t *key,
                           enum direction direction)
{
    struct secrets secrets;
    while (count > 0) {
        size_t length = 1;
        while (length < smaller(count, run_size)
               && packets[length].counter >> 32 == packets->counter >> 32)
            length++;
        struct run run;
        run.packets = packets;
        run.count = length;
        run.key = key;
        run.direction = direction;
        run.keys = run.packet = run.block = run.tags = 0;
        process_run(&run, &secrets);
        packets += length;
        count -= length;
    }
    memset(&secrets, 0, sizeof secrets);
    __asm__ volatile("" : : "r"(&secrets) : "memory");
}
