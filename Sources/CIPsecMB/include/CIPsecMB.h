// ChaCha20-Poly1305 of Intel's Multi-Buffer Crypto for IPsec (intel-ipsec-mb), which exists for x86-64
// only. Where it was missing when this was built, everything is here and nothing is available.
#ifndef CIPSECMB_H
#define CIPSECMB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The library's own state: its job ring. One thread at a time may use it.
struct cipsecmb;

// Whether the library is part of this build.
bool cipsecmb_is_built(void);

// The version of the library, such as "1.3.0"; empty if it is not part of this build. Never freed.
const char *_Nonnull cipsecmb_version(void);

// The calling thread's state, of which 60 KiB are used, which is made at its first call and freed when it ends.
// NULL if the library is not part of this build, does not run on this processor, or finds no memory.
struct cipsecmb *_Nullable cipsecmb_of_thread(void);

// Seals `length` bytes at `packet` in place and writes the tag of 16 bytes behind them. `key` has 32
// bytes; the nonce is four zero bytes and the counter, little-endian. False if the library did not do
// it, which would be a fault of it: the packet is neither plaintext nor sealed then.
bool cipsecmb_seal(struct cipsecmb *_Nonnull state, uint8_t *_Nonnull packet, size_t length,
                   uint64_t counter, const uint8_t *_Nonnull key);

// Opens `length` bytes at `packet` in place, behind which the tag of 16 bytes lies. False if the tag
// is wrong; then the bytes are zero.
bool cipsecmb_open(struct cipsecmb *_Nonnull state, uint8_t *_Nonnull packet, size_t length,
                   uint64_t counter, const uint8_t *_Nonnull key);

#endif
