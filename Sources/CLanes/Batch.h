// The order of the work on a batch, whatever the vectors are. Each file for an instruction set includes
// it once, at its end, since all of it has to be compiled for that set. Before, such a file includes
// Tags.h, and defines
//
//     TARGET              the attribute that names the instruction set
//     lane_count          the blocks of a pass of ChaCha20 at the most
//     vector              of 32-bit lanes
//     broadcast()         a word to all lanes of a vector
//     key_stream()        the blocks of a pass; meanwhile it may make tags, of ciphertext that is there
//     apply()             a text with its key stream
//     make_tags()         one more tag at least, of packets whose keys and ciphertexts are there
//     make_ready_tags()   those for which now is the best time, perhaps none
//
// A pass takes its blocks from wherever there are some, so that its lanes are full: first block 0 of
// each packet, which is the one-time key, then the blocks of the texts, packet after packet. To open,
// the tag of a packet is compared before its first block is decrypted; to seal, the tag is made when
// its last block is encrypted, or later.

#include <string.h>

#include "Kernels.h"

enum { block_size = 64 };

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
    // A pass.
    size_t lanes, piece_count;
    struct piece pieces[lane_count];
};

// What is secret, or next to it: wiped at the end.
struct secrets {
    _Alignas(block_size) uint8_t rows[lane_count][block_size];
    // What all blocks of a run begin with, but for words 12 and 14.
    vector common[16];
    struct tags tags;
};

static inline size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
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

TARGET static void spend(const struct run *run, struct secrets *secrets)
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
        spend(run, secrets);
    }
    while (tags->made < run->count)
        make_tags(tags);
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
        run.keys = run.packet = run.block = 0;
        process_run(&run, &secrets);
        packets += length;
        count -= length;
    }
    memset(&secrets, 0, sizeof secrets);
    __asm__ volatile("" : : "r"(&secrets) : "memory");
}
