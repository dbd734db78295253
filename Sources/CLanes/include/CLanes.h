// ChaCha20-Poly1305 (RFC 8439) for batches of packets. A vector register of a SIMD instruction set holds
// several numbers, its lanes; each lane works on another block or another packet. This is the one
// cryptographic primitive that this package implements itself: no library offers it. It has code for
// x86-64. On other machines clanes_is_built() returns false and the rest must not be called.
//
// Guarantees: No branch and no memory address depends on a key, a text or a tag, except for whether a tag
// was right. Nothing outside a packet and its tag is read or written. One-time keys, their powers and key
// streams are wiped before a call returns; optimised builds also wipe what is left of them in registers
// and on the stack. There is no state between calls, so any number of threads may call.
//
// The caller must never use a nonce twice.
#ifndef CLANES_H
#define CLANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// One packet: `length` bytes of text, followed by the 16 bytes of its tag. The packets of a batch must not
// overlap.
struct clanes_packet {
    uint8_t *_Nonnull text;
    size_t length;
    // The nonce is four zero bytes and this counter, little-endian.
    uint64_t counter;
    // Written by clanes_open().
    bool is_authentic;
};

// The supported instruction sets: AVX-512 with IFMA and VBMI2 (Ice Lake, Zen 4 and later), and AVX2 with
// BMI2 (Haswell, Zen and later).
enum clanes_isa { clanes_avx512, clanes_avx2 };

// Whether this build contains code for this machine.
bool clanes_is_built(void);

// Whether processor and kernel support an instruction set. Call clanes_seal() and clanes_open() only if
// they do.
bool clanes_runs(enum clanes_isa isa);

// Whether the processor has any AVX-512, even if it lacks what clanes_avx512 needs.
bool clanes_has_avx512(void);

// Seals `count` packets in place and writes the tag of each after its text. `key` has 32 bytes.
void clanes_seal(enum clanes_isa isa, struct clanes_packet *_Nonnull packets, size_t count,
                 const uint8_t *_Nonnull key);

// Opens `count` packets in place and sets `is_authentic` of each. The text of a packet that is not
// authentic is never decrypted and is zero afterwards. `key` has 32 bytes.
void clanes_open(enum clanes_isa isa, struct clanes_packet *_Nonnull packets, size_t count,
                 const uint8_t *_Nonnull key);

#endif
