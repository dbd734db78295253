/* What the thread sanitizer cannot see of Swift's Mutex.
 *
 * The quick way through `Synchronization.Mutex` is compiled into our code, so that the sanitizer sees
 * its atomic operations. The slow way, taken when two threads meet, is in the library, which is not
 * instrumented: the lock is then taken unseen, and what it protects looks like a race. These stand in
 * for the two functions of the library, call them, and say what they did. Nothing is suppressed.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *mutex
#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

typedef SWIFT void (*LockSlow)(uint32_t, SELF);
typedef SWIFT void (*UnlockSlow)(SELF);

void __tsan_acquire(void *);
void __tsan_release(void *);

SWIFT void lock_slow(uint32_t thread, SELF) __asm__(LOCK_SLOW);
SWIFT void unlock_slow(SELF) __asm__(UNLOCK_SLOW);

static void *of_the_library(const char *name) {
  void *function = dlsym(RTLD_NEXT, name);
  if (function == NULL) abort();
  return function;
}

SWIFT void lock_slow(uint32_t thread, SELF) {
  ((LockSlow)of_the_library(LOCK_SLOW))(thread, mutex);
  __tsan_acquire(mutex);
}

SWIFT void unlock_slow(SELF) {
  __tsan_release(mutex);
  ((UnlockSlow)of_the_library(UNLOCK_SLOW))(mutex);
}
