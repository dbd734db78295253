// Seals or opens a batch: the order of the work, the same for all instruction sets.
//
// A template, compiled once for each instruction set. AVX2.c and AVX512.c include it after the headers
// that define what it needs:
//
//     TARGET              the attribute that selects the instruction set
//     lane_count          the largest number of ChaCha20 blocks in a pass
//     vector              a vector of 32-bit lanes
//     broadcast()         copies a word to all lanes of a vector
//     key_stream()        computes the blocks of a pass, and may make tags of existing ciphertext
//     apply()             combines a text with its key stream
//     struct tags         see Tags.h
//     make_tags()         makes at least one more tag; its key and ciphertext must exist
//     make_ready_tags()   makes the tags that are best made now, perhaps none
//
// A pass computes `lane_count` blocks of ChaCha20 at once, one in each lane. To fill the lanes it takes
// blocks of several packets: first block 0 of each packet, which is the one-time key, then the blocks
// of the texts, packet after packet. When opening, the tag of a packet is compared before its first
// block is decrypted. When sealing, the tag is made once the last block is encrypted.

#include <string.h>

#include "Kernels.h"

enum { block_size = 64 };

// Consecutive blocks of one text in consecutive lanes of a pass.
struct piece {
    size_t packet, block, lane, count;
};

// Consecutive packets whose counters have the same upper word, and the position of the work in them.
struct run {
    struct clanes_packet *packets;
    size_t count;
    const uint8_t *key;
    enum direction direction;
    // Where the next pass continues: the next one-time key, and the next block of a text.
    size_t keys, packet, block;
    // The current pass.
    size_t lanes, piece_count;
    struct piece pieces[lane_count];
};

// All secrets of a batch. Wiped at the end.
struct secrets {
    _Alignas(block_size) uint8_t rows[lane_count][block_size];
    // The initial state of all blocks of a run. Words 12 and 14 differ from block to block.
    vector common[16];
    struct tags tags;
};

static inline size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

// Chooses the blocks of the next pass. Returns false if none are left.
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

// Encrypts or decrypts the texts with the blocks of the pass.
TARGET static void apply_pass(const struct run *run, struct secrets *secrets)
{
    struct tags *tags = &secrets->tags;
    for (size_t i = 0; i < run->piece_count; i++) {
        const struct piece piece = run->pieces[i];
        if (run->direction == opens)
            while (tags->made <= piece.packet)
                make_tags(tags);
        const struct clanes_packet *packet = &run->packets[piece.packet];
        if (run->direction == opens && !packet->is_authentic)
            continue;
        const size_t offset = piece.block * block_size;
        apply(packet->text + offset, secrets->rows[piece.lane],
              smaller(packet->length - offset, piece.count * block_size));
    }
    if (run->direction == opens)
        return;
    tags->packet = run->packet;
    tags->offset = run->block * block_size;
    make_ready_tags(tags);
}

TARGET static void make_common(vector common[16], const uint8_t *key, uint32_t upper)
{
    uint32_t words[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, [15] = upper};
    memcpy(&words[4], key, key_size);
    for (size_t w = 0; w < 16; w++)
        common[w] = broadcast(words[w]);
}

TARGET static void process_run(struct run *run, struct secrets *secrets)
{
    _Alignas(block_size) uint32_t block[lane_count] = {0}, counter[lane_count] = {0};
    struct tags *tags = &secrets->tags;
    begin_tags(tags, run->packets, run->count, run->direction);
    make_common(secrets->common, run->key, (uint32_t)(run->packets->counter >> 32));
    while (fill(run, block, counter)) {
        key_stream(secrets->rows, secrets->common, block, counter, run->lanes, tags);
        for (size_t lane = 0; tags->known < run->keys; tags->known++, lane++)
            memcpy(tags->keys[tags->known], secrets->rows[lane], key_size);
        apply_pass(run, secrets);
    }
    while (tags->made < run->count)
        make_tags(tags);
}

// Splits the batch into runs.
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
        run.keys = run.packet = run.block = 0;
        process_run(&run, &secrets);
        packets += length;
        count -= length;
    }
    memset(&secrets, 0, sizeof secrets);
    __asm__ volatile("" : : "r"(&secrets) : "memory");
}
