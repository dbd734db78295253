// Counts, for each thread, how often memory is allocated and freed and how often Swift counts
// references and checks accesses. To be loaded in front of a program that is linked dynamically
// (LD_PRELOAD); the counts go to the file that ALLOCATION_COUNTS names, which others can map and read
// meanwhile: an array of `struct counts`, ended by one without a thread.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { most_threads = 64 };

struct counts {
    _Atomic uint64_t thread, allocations, frees, objects, retains, releases, accesses;
};

static struct counts nowhere;
static struct counts *all;
static _Atomic unsigned used;
static _Thread_local struct counts *of_thread;

__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv("ALLOCATION_COUNTS");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    const size_t size = (most_threads + 1) * sizeof *all;
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
    of_thread = index < most_threads ? &all[index] : &nowhere;
    of_thread->thread = (uint64_t)gettid();
    return of_thread;
}

// Only its own thread writes a counter.
#define COUNT(field)                                                                               \
    atomic_store_explicit(                                                                         \
        &mine()->field, atomic_load_explicit(&mine()->field, memory_order_relaxed) + 1,            \
        memory_order_relaxed)

// ---- The allocator: glibc's own, under its other names.

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

// ---- Swift's runtime: the next definition of each name.

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
