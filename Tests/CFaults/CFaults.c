#define _GNU_SOURCE
#include "CFaults.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static _Thread_local struct faults_plan *own_plan;
static struct faults_plan *common_plan;
// The rule's number when the current call began.
static _Thread_local uint32_t entered;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void faults_use(struct faults_plan *plan)
{
    own_plan = plan;
}

__attribute__((constructor)) static void map_common_plan(void)
{
    const char *path = getenv("SWIREGUARD_FAULTS");
    if (!path)
        return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *plan = mmap(NULL, sizeof *common_plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || plan == MAP_FAILED)
        abort(); // otherwise a test would pass without its faults
    close(fd);
    common_plan = plan;
}

// enter and leave enclose a call that may fail. They hold the lock during the call.
static struct faults_rule *enter(enum faults_call call)
{
    struct faults_plan *plan = own_plan ? own_plan : common_plan;
    if (!plan)
        return NULL;
    pthread_mutex_lock(&lock);
    entered = plan->rules[call].number;
    return &plan->rules[call];
}

// messages: the number that passed.
static long leave(struct faults_rule *rule, long result, long messages)
{
    if (!rule)
        return result;
    int code = errno;
    // The rule may have changed since, or may be incomplete.
    if (messages > 0 && rule->number == entered && entered != FAULTS_UNFINISHED) {
        rule->met = 0;
        rule->passed += (uint64_t)messages;
    }
    pthread_mutex_unlock(&lock);
    errno = code;
    return result;
}

// Whether the message `ahead` messages after the next one fails.
static int is_due(const struct faults_rule *rule, uint64_t ahead, int is_run, uint64_t length)
{
    if (!rule->error || (rule->runs_only && !is_run))
        return 0;
    if (ahead == 0 && rule->met >= rule->times)
        return 0;
    if (rule->length)
        return rule->length == length;
    uint64_t number = rule->passed + ahead;
    if (number < rule->first)
        return 0;
    return number == rule->first || (rule->period && (number - rule->first) % rule->period == 0);
}

static long fail(struct faults_rule *rule)
{
    rule->met++;
    rule->injected++;
    errno = rule->error;
    return leave(rule, -1, 0);
}

static int is_run(const struct msghdr *message)
{
    for (struct cmsghdr *each = CMSG_FIRSTHDR(message); each;
         each = CMSG_NXTHDR((struct msghdr *)message, each))
        if (each->cmsg_level == SOL_UDP && each->cmsg_type == UDP_SEGMENT)
            return 1;
    return 0;
}

static uint64_t length_of(const struct msghdr *message)
{
    uint64_t length = 0;
    for (size_t index = 0; index < message->msg_iovlen; index++)
        length += message->msg_iov[index].iov_len;
    return length;
}

// As in the kernel, messages before the failing one pass, and the next call returns the error.
int sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags)
{
    struct faults_rule *rule = enter(faults_sendmmsg);
    if (rule) {
        if (rule->most && count > rule->most)
            count = rule->most;
        for (unsigned int index = 0; index < count; index++) {
            const struct msghdr *message = &messages[index].msg_hdr;
            if (!is_due(rule, index, is_run(message), length_of(message)))
                continue;
            if (index == 0)
                return (int)fail(rule);
            count = index;
        }
    }
    long result = syscall(SYS_sendmmsg, fd, messages, count, flags);
    return (int)leave(rule, result, result);
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags,
             struct timespec *timeout)
{
    struct faults_rule *rule = enter(faults_recvmmsg);
    if (rule) {
        if (rule->most && count > rule->most)
            count = rule->most;
        for (unsigned int index = 0; index < count; index++) {
            if (!is_due(rule, index, 0, 0))
                continue;
            if (index == 0)
                return (int)fail(rule);
            count = index;
        }
    }
    long result = syscall(SYS_recvmmsg, fd, messages, count, flags, timeout);
    return (int)leave(rule, result, result);
}

// The TUN is the only character device that the daemon reads.
static int is_tun(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISCHR(status.st_mode);
}

ssize_t read(int fd, void *buffer, size_t count)
{
    struct faults_rule *rule = (own_plan || common_plan) && is_tun(fd) ? enter(faults_read) : NULL;
    if (rule && is_due(rule, 0, 0, 0))
        return fail(rule);
    long result = syscall(SYS_read, fd, buffer, count);
    return leave(rule, result, result > 0);
}

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
    struct faults_rule *rule =
        (own_plan || common_plan) && is_tun(fd) ? enter(faults_writev) : NULL;
    if (rule && is_due(rule, 0, count > 1, 0))
        return fail(rule);
    long result = syscall(SYS_writev, fd, pieces, count);
    return leave(rule, result, result > 0);
}
