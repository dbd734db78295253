// Counts allocations, frees, reference counting and access checks, for each thread.
//
// Preload this library (LD_PRELOAD) into a program that is linked dynamically with the Swift runtime. The
// counts go to the file named by ALLOCATION_COUNTS: an array of `struct counts`, terminated by an entry
// whose thread is 0. Other processes can read the file at any time.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { maximum_threads = 64 };

struct counts {
    _Atomic uint64_t thread, allocations, frees, objects, retains, releases, accesses;
};

static struct counts nowhere; // of threads without an entry in the file
static struct counts *all;
static _Atomic unsigned used;
static _Thread_local struct counts *of_thread;

__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv("ALLOCATION_COUNTS");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    const size_t size = (maximum_threads + 1) * sizeof *all;
    if (fd < 0 || ftruncate(fd, size) != 0)
        return;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (memory != MAP_FAILED)
        all = memory;
}

static struct counts *mine(void)
{
    if (of_thread != NULL)
        return of_thread;
    if (all == NULL)
        return &nowhere;
    unsigned index = atomic_fetch_add(&used, 1);
    of_thread = index < maximum_threads ? &all[index] : &nowhere;
    of_thread->thread = (uint64_t)gettid();
    return of_thread;
}

// Only the thread itself writes its counters, so no atomic addition is needed.
#define COUNT(field)                                                                               \
    atomic_store_explicit(                                                                         \
        &mine()->field, atomic_load_explicit(&mine()->field, memory_order_relaxed) + 1,            \
        memory_order_relaxed)

// ---- The allocator: glibc's functions under their internal names.

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

void *malloc(size_t size)
{
    COUNT(allocations);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    COUNT(allocations);
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    COUNT(allocations);
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    COUNT(allocations);
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    COUNT(allocations);
    *memory = __libc_memalign(alignment, size);
    return *memory == NULL ? 12 : 0;
}

void free(void *memory)
{
    if (memory != NULL)
        COUNT(frees);
    __libc_free(memory);
}

// ---- The Swift runtime: each function calls the next definition of its name.

#define NEXT(name) ((__typeof__(&name))next(&next_##name, #name))

static void *next(_Atomic(void *) *cache, const char *name)
{
    void *found = atomic_load_explicit(cache, memory_order_relaxed);
    if (found == NULL) {
        found = dlsym(RTLD_NEXT, name);
        if (found == NULL)
            abort();
        atomic_store_explicit(cache, found, memory_order_relaxed);
    }
    return found;
}

#define FORWARD(result, name, field, parameters, arguments)                                        \
    static _Atomic(void *) next_##name;                                                            \
    result name parameters;                                                                        \
    result name parameters                                                                         \
    {                                                                                              \
        COUNT(field);                                                                              \
        return NEXT(name) arguments;                                                               \
    }

FORWARD(void *, swift_allocObject, objects, (void *type, size_t size, size_t mask),
        (type, size, mask))
FORWARD(void *, swift_retain, retains, (void *object), (object))
FORWARD(void *, swift_retain_n, retains, (void *object, uint32_t count), (object, count))
FORWARD(void *, swift_bridgeObjectRetain, retains, (void *object), (object))
FORWARD(void, swift_release, releases, (void *object), (object))
FORWARD(void, swift_release_n, releases, (void *object, uint32_t count), (object, count))
FORWARD(void, swift_bridgeObjectRelease, releases, (void *object), (object))
FORWARD(void, swift_beginAccess, accesses,
        (void *address, void *buffer, uintptr_t flags, void *pc), (address, buffer, flags, pc))
