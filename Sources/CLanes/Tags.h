// The tags of a run of packets: computed, or compared, in the order of the packets.
//
// A template, compiled once for each instruction set. AVX2/Poly1305.h and AVX512/Poly1305.h define what
// it needs, then include it:
//
//     TARGET            the attribute that selects the instruction set
//     struct progress   the state of Poly1305 that is kept from one tag to the next

#include <string.h>

#include "Kernels.h"

enum {
    key_size = 32,
    // The packets of a run. Their one-time keys are kept until their tags are computed.
    run_size = 64,
};

struct tags {
    struct clanes_packet *packets;
    size_t count;
    enum direction direction;
    // The number of packets whose one-time keys are known, and of those whose tags are done.
    size_t known, made;
    // Where the ciphertext ends: in this packet, after this many bytes.
    size_t packet, offset;
    struct progress progress;
    _Alignas(64) uint8_t keys[run_size][key_size];
};

TARGET static void begin_tags(struct tags *tags, struct clanes_packet *packets, size_t count,
                              enum direction direction)
{
    tags->packets = packets;
    tags->count = count;
    tags->direction = direction;
    tags->known = tags->made = tags->offset = 0;
    // When opening, all text is ciphertext from the start.
    tags->packet = direction == opens ? count : 0;
    memset(&tags->progress, 0, sizeof tags->progress);
}

// Writes or compares the tag of the next packet. `sum` is the result of Poly1305 before the pad is added.
TARGET static void finish_tag(struct tags *tags, const uint64_t sum[2])
{
    struct clanes_packet *packet = &tags->packets[tags->made];
    uint64_t pad[2], tag[2], received[2];
    memcpy(pad, tags->keys[tags->made] + sizeof pad, sizeof pad);
    tags->made++;
    tag[0] = sum[0] + pad[0];
    tag[1] = sum[1] + pad[1] + (tag[0] < pad[0]);
    if (tags->direction == seals) {
        memcpy(packet->text + packet->length, tag, sizeof tag);
        return;
    }
    memcpy(received, packet->text + packet->length, sizeof received);
    // Constant time: always compares the whole tag.
    packet->is_authentic = ((tag[0] ^ received[0]) | (tag[1] ^ received[1])) == 0;
    if (!packet->is_authentic)
        memset(packet->text, 0, packet->length);
    // The correct tag of a forged packet must not leak.
    memset(tag, 0, sizeof tag);
    __asm__ volatile("" : : "r"(tag) : "memory");
}
