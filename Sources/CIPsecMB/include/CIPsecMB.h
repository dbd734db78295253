// ChaCha20-Poly1305 of Intel's Multi-Buffer Crypto for IPsec (intel-ipsec-mb), for x86-64. If the library
// was not installed at build time, cipsecmb_is_built() returns false and the other functions fail.
#ifndef CIPSECMB_H
#define CIPSECMB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The library's state, which contains a job ring. Only one thread at a time may use it.
struct cipsecmb;

// Whether the library is part of this build.
bool cipsecmb_is_built(void);

// The version of the library, such as "1.3.0", or an empty string if it is not part of this build. Never
// freed.
const char *_Nonnull cipsecmb_version(void);

// The state of the calling thread; 60 KiB of it are resident. Allocated by the first call in a thread and
// freed when the thread ends. NULL if the library is not part of this build or does not support this
// processor, or if there is no memory.
struct cipsecmb *_Nullable cipsecmb_of_thread(void);

// Seals `length` bytes at `packet` in place and writes the 16 bytes of the tag after them. `key` has 32
// bytes. The nonce is four zero bytes and the counter, little-endian. Returns false if the library did not
// complete the job, which is a bug in it; the contents of the packet are undefined then.
bool cipsecmb_seal(struct cipsecmb *_Nonnull state, uint8_t *_Nonnull packet, size_t length,
                   uint64_t counter, const uint8_t *_Nonnull key);

// Opens `length` bytes at `packet` in place. The 16 bytes of the tag follow them. Returns false if the tag is
// wrong; the bytes are zero then.
bool cipsecmb_open(struct cipsecmb *_Nonnull state, uint8_t *_Nonnull packet, size_t length,
                   uint64_t counter, const uint8_t *_Nonnull key);

#endif
