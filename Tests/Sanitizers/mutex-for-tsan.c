// What the thread sanitizer has to be told of Swift's Mutex.
//
// The quick half of Synchronization.Mutex is compiled into who uses it, where the sanitizer sees its
// atomics; what happens when threads contend is in the library, which is not instrumented, and so a
// lock that was waited for seems not to order anything. As a shared object in LD_PRELOAD this takes
// the place of the library's two functions, and tells.
//
//     clang -shared -fPIC -o mutex-for-tsan.so mutex-for-tsan.c
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"
#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *

extern void __tsan_acquire(void *) __attribute__((weak));
extern void __tsan_release(void *) __attribute__((weak));

static void *original(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    return found;
}

SWIFT void lock_slowly(uint32_t thread, SELF self) __asm__(LOCK);
SWIFT void lock_slowly(uint32_t thread, SELF self)
{
    static SWIFT void (*function)(uint32_t, SELF);
    if (!function)
        function = (SWIFT void (*)(uint32_t, SELF))original(LOCK);
    function(thread, self);
    if (__tsan_acquire)
        __tsan_acquire(self);
}

SWIFT void unlock_slowly(SELF self) __asm__(UNLOCK);
SWIFT void unlock_slowly(SELF self)
{
    static SWIFT void (*function)(SELF);
    if (!function)
        function = (SWIFT void (*)(SELF))original(UNLOCK);
    if (__tsan_release)
        __tsan_release(self);
    function(self);
}
