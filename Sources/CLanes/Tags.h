// The tags of a run of packets, which are made, or compared, in the order of the packets, whatever
// makes them. Each file for an instruction set includes it once, behind
//
//     TARGET            the attribute that names the instruction set
//     struct progress   what is kept of the polynomials from tag to tag

#include <string.h>

#include "Kernels.h"

enum {
    key_size = 32,
    // The packets of a run, whose one-time keys are kept until their turn comes.
    run_size = 64,
};

struct tags {
    struct clanes_packet *packets;
    size_t count;
    enum direction direction;
    // The packets whose one-time keys are there, and those whose tags were made, or compared.
    size_t known, made;
    // Where the ciphertext ends: in this packet, behind so many bytes.
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
    // What is opened is ciphertext already.
    tags->packet = direction == opens ? count : 0;
    memset(&tags->progress, 0, sizeof tags->progress);
}

// The tag of the next packet, of whose text `sum` is what Poly1305 makes without the pad.
TARGET static void settle(struct tags *tags, const uint64_t sum[2])
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
    // The whole tag, whatever differs first.
    packet->is_authentic = ((tag[0] ^ received[0]) | (tag[1] ^ received[1])) == 0;
    if (!packet->is_authentic)
        memset(packet->text, 0, packet->length);
    // Nobody who forged a packet is to find out what its tag should have been.
    memset(tag, 0, sizeof tag);
    __asm__ volatile("" : : "r"(tag) : "memory");
}
