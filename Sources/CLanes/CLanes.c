#include "Kernels.h"

#include <string.h>

#if defined(__x86_64__)

bool clanes_is_built(void)
{
    return true;
}

bool clanes_runs(enum clanes_isa isa)
{
    // Also checks that the kernel saves the registers.
    __builtin_cpu_init();
    switch (isa) {
    case clanes_avx512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
            && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
            && __builtin_cpu_supports("avx512ifma") && __builtin_cpu_supports("avx512vbmi2");
    case clanes_avx2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
    }
    return false;
}

bool clanes_has_avx512(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f");
}

static void process(enum clanes_isa isa, struct clanes_packet *packets, size_t count,
                    const uint8_t *key, enum direction direction)
{
    switch (isa) {
    case clanes_avx512: clanes_process_avx512(packets, count, key, direction); break;
    case clanes_avx2: clanes_process_avx2(packets, count, key, direction); break;
    }
}

#else

bool clanes_is_built(void)
{
    return false;
}

bool clanes_runs(enum clanes_isa isa)
{
    (void)isa;
    return false;
}

bool clanes_has_avx512(void)
{
    return false;
}

static void process(enum clanes_isa isa, struct clanes_packet *packets, size_t count,
                    const uint8_t *key, enum direction direction)
{
    (void)isa, (void)packets, (void)count, (void)key, (void)direction;
    __builtin_trap();
}

#endif

// Wipes what the compiler spilled to the stack, such as broadcast keys. The frames of a call are smaller.
static __attribute__((noinline)) void wipe_stack(void)
{
    uint8_t frames[18432];
    memset(frames, 0, sizeof frames);
    __asm__ volatile("" : : "r"(frames) : "memory");
}

void clanes_seal(enum clanes_isa isa, struct clanes_packet *packets, size_t count,
                 const uint8_t *key)
{
    process(isa, packets, count, key, seals);
    wipe_stack();
}

void clanes_open(enum clanes_isa isa, struct clanes_packet *packets, size_t count,
                 const uint8_t *key)
{
    process(isa, packets, count, key, opens);
    wipe_stack();
}
