#include <sodium.h>
#include <stdint.h>

/// Returns `value`. The compiler cannot know that, so it cannot replace a mask by a branch.
static inline int32_t csodium_opaque(int32_t value) {
    __asm__("" : "+r"(value));
    return value;
}
