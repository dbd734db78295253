// ChaCha20-Poly1305 (RFC 8439) over the packets of a batch, each lane of a vector at work on another
// block or another packet. It is the one primitive of this package that is its own: no library has
// this. For x86-64; elsewhere everything is here and nothing can be run.
//
// Guaranteed: no branch and no address depends on a key, a text or a tag, but for whether a tag was
// right; nothing outside of a packet and its tag is read or written; one-time keys, their powers, key
// streams, and in optimised builds what is left of them in registers and on the stack, are wiped before
// a call returns; there is no state between calls, so any number of threads may call. It is the caller
// who never uses a nonce twice.
#ifndef CLANES_H
#define CLANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// One packet: `length` bytes of text, and the 16 bytes of its tag behind them. Those of a batch do not
// overlap.
struct clanes_packet {
    uint8_t *_Nonnull text;
    size_t length;
    // The nonce is four zero bytes and this, little-endian.
    uint64_t counter;
    // Written by clanes_open().
    bool is_authentic;
};

// The instruction sets that there is code for: AVX-512 with IFMA and VBMI2 (Ice Lake, Zen 4 and later),
// and AVX2 with BMI2 (Haswell, Zen and later).
enum clanes_isa { clanes_avx512, clanes_avx2 };

// Whether there is code for this processor in this build.
bool clanes_is_built(void);

// Whether this processor and this system run it; what follows may be called only where they do.
bool clanes_runs(enum clanes_isa isa);

// Whether this processor has AVX-512 of any kind, with or without what clanes_avx512 needs.
bool clanes_has_avx512(void);

// Seals `count` packets in place and writes the tag of each behind it. `key` has 32 bytes.
void clanes_seal(enum clanes_isa isa, struct clanes_packet *_Nonnull packets, size_t count,
                 const uint8_t *_Nonnull key);

// Opens `count` packets in place and notes in each whether it is authentic. The text of one that is not
// is zero afterwards, and was never decrypted.
void clanes_open(enum clanes_isa isa, struct clanes_packet *_Nonnull packets, size_t count,
                 const uint8_t *_Nonnull key);

#endif
