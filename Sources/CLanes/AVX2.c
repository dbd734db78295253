// The entry point for AVX2.
#if defined(__x86_64__)

#include "Kernels.h"
#include "AVX2/ChaCha20.h"
#include "AVX2/Poly1305.h"
#include "AVX2/Target.h"

// Needs the headers above.
#include "Batch.h"

TARGET void clanes_process_avx2(struct clanes_packet *packets, size_t count, const uint8_t *key,
                                enum direction direction)
{
    process(packets, count, key, direction);
    // Registers may hold the broadcast key and the keys of Poly1305.
    __asm__ volatile(
        "vzeroall\n\t"
        CLEAR_GENERAL
        : : : GENERAL,
        "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

#endif
