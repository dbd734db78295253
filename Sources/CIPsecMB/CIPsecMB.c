#include "CIPsecMB.h"

// Swift links the library under the same condition: see the module map of CIPsecMBLibrary.
#if !defined(__x86_64__)
#define HAS_LIBRARY 0
#elif __has_include("/usr/include/intel-ipsec-mb.h")                                               \
    && __has_include("/usr/lib/x86_64-linux-gnu/libIPSec_MB.a")
#define HAS_LIBRARY 1
#else
#define HAS_LIBRARY 0
#warning "libipsec-mb-dev is not installed: single packets are slower, and without AVX2 libsodium seals all packets at a third of the speed"
#endif

#if HAS_LIBRARY

#include <intel-ipsec-mb.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

enum { tag_size = 16, nonce_size = 12 };

static _Thread_local struct cipsecmb *of_thread;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key_of_end;
static bool has_key;

static void free_at_end(void *state)
{
    of_thread = NULL;
    munmap(state, imb_get_mb_mgr_size());
}

static void make_key(void)
{
    has_key = pthread_key_create(&key_of_end, free_at_end) == 0;
}

// The best one that this processor supports. Without SSE and AES, libsodium is as fast.
static IMB_ARCH arch_for(uint64_t features)
{
    const struct {
        uint64_t features;
        IMB_ARCH arch;
    } choices[] = {
        {IMB_CPUFLAGS_AVX512, IMB_ARCH_AVX512},
        {IMB_CPUFLAGS_AVX2, IMB_ARCH_AVX2},
        {IMB_CPUFLAGS_AVX, IMB_ARCH_AVX},
        {IMB_CPUFLAGS_SSE, IMB_ARCH_SSE},
    };
    for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++)
        if ((features & choices[i].features) == choices[i].features)
            return choices[i].arch;
    return IMB_ARCH_NONE;
}

// Does what this algorithm needs of init_mb_mgr_auto(), which also tests all other algorithms and resets
// their queues and so makes 4 MiB of code and 150 KiB of queues resident. imb_set_pointers_mb_mgr(), meant
// for a manager that processes share, only fills in the functions. The algorithm also needs an empty job
// ring. AEADSelfTest verifies the result.
static bool prepare(void *zeros)
{
    IMB_MGR *manager = zeros;
    manager->features = imb_get_feature_flags();
    manager->used_arch = arch_for(manager->features);
    if (manager->used_arch == IMB_ARCH_NONE)
        return false;
    manager->earliest_job = -1;
    const unsigned keep = 0;
    return imb_set_pointers_mb_mgr(zeros, 0, keep) == manager && manager->get_next_job != NULL
        && manager->submit_job_nocheck != NULL;
}

static struct cipsecmb *make_state(void)
{
    if (pthread_once(&key_once, make_key) != 0 || !has_key)
        return NULL;
    const size_t size = imb_get_mb_mgr_size();
    void *zeros = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (zeros == MAP_FAILED)
        return NULL;
    // If it cannot be stored under the key, it would outlive its thread.
    if (!prepare(zeros) || pthread_setspecific(key_of_end, zeros) != 0) {
        munmap(zeros, size);
        return NULL;
    }
    return zeros;
}

bool cipsecmb_is_built(void)
{
    return true;
}

const char *cipsecmb_version(void)
{
    return imb_get_version_str();
}

struct cipsecmb *cipsecmb_of_thread(void)
{
    if (of_thread == NULL)
        of_thread = make_state();
    return of_thread;
}

// Submits one job. The library completes it at once, as this algorithm does not combine jobs. The ring
// keeps only pointers to key and text.
static bool process(struct cipsecmb *state, IMB_CIPHER_DIRECTION direction, uint8_t *packet,
                    size_t length, uint64_t counter, const uint8_t *key, uint8_t *tag)
{
    IMB_MGR *manager = (IMB_MGR *)state;
    uint8_t nonce[nonce_size] = {0};
    // x86-64 is little-endian.
    memcpy(nonce + nonce_size - sizeof counter, &counter, sizeof counter);

    IMB_JOB *job = IMB_GET_NEXT_JOB(manager);
    job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
    job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
    job->cipher_direction = direction;
    job->chain_order =
        direction == IMB_DIR_ENCRYPT ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
    job->enc_keys = key;
    job->dec_keys = key;
    job->key_len_in_bytes = IMB_KEY_256_BYTES;
    job->iv = nonce;
    job->iv_len_in_bytes = nonce_size;
    job->src = packet;
    job->dst = packet;
    job->cipher_start_src_offset_in_bytes = 0;
    job->msg_len_to_cipher_in_bytes = length;
    job->hash_start_src_offset_in_bytes = 0;
    job->msg_len_to_hash_in_bytes = length;
    job->u.CHACHA20_POLY1305.aad = NULL;
    job->u.CHACHA20_POLY1305.aad_len_in_bytes = 0;
    job->auth_tag_output = tag;
    job->auth_tag_output_len_in_bytes = tag_size;
    const IMB_JOB *done = IMB_SUBMIT_JOB_NOCHECK(manager);
    return done == job && done->status == IMB_STATUS_COMPLETED;
}

bool cipsecmb_seal(struct cipsecmb *state, uint8_t *packet, size_t length, uint64_t counter,
                   const uint8_t *key)
{
    return process(state, IMB_DIR_ENCRYPT, packet, length, counter, key, packet + length);
}

bool cipsecmb_open(struct cipsecmb *state, uint8_t *packet, size_t length, uint64_t counter,
                   const uint8_t *key)
{
    uint64_t expected[2] = {0}, received[2];
    bool done = process(state, IMB_DIR_DECRYPT, packet, length, counter, key, (uint8_t *)expected);
    memcpy(received, packet + length, sizeof received);
    // Constant time: always compares the whole tag.
    uint64_t difference = (expected[0] ^ received[0]) | (expected[1] ^ received[1]);
    // The correct tag of a forged packet must not leak.
    memset(expected, 0, sizeof expected);
    __asm__ volatile("" : : "r"(expected) : "memory");
    if (done && difference == 0)
        return true;
    // The library decrypted it before the tag was compared.
    memset(packet, 0, length);
    return false;
}

#else

bool cipsecmb_is_built(void)
{
    return false;
}

const char *cipsecmb_version(void)
{
    return "";
}

struct cipsecmb *cipsecmb_of_thread(void)
{
    return NULL;
}

bool cipsecmb_seal(struct cipsecmb *state, uint8_t *packet, size_t length, uint64_t counter,
                   const uint8_t *key)
{
    (void)state, (void)packet, (void)length, (void)counter, (void)key;
    return false;
}

bool cipsecmb_open(struct cipsecmb *state, uint8_t *packet, size_t length, uint64_t counter,
                   const uint8_t *key)
{
    (void)state, (void)packet, (void)length, (void)counter, (void)key;
    return false;
}

#endif
