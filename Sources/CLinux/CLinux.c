#define _GNU_SOURCE
#include "CLinux.h"

#include <fcntl.h>
#include <linux/ip.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

_Static_assert(sizeof(struct clinux_mmsghdr) == sizeof(struct mmsghdr), "mmsghdr");
_Static_assert(offsetof(struct clinux_mmsghdr, msg_len) == offsetof(struct mmsghdr, msg_len),
               "mmsghdr.msg_len");
_Static_assert(sizeof(struct clinux_in_pktinfo) == sizeof(struct in_pktinfo), "in_pktinfo");
_Static_assert(sizeof(struct clinux_in6_pktinfo) == sizeof(struct in6_pktinfo), "in6_pktinfo");
_Static_assert(clinux_IPV6_PKTINFO == IPV6_PKTINFO, "IPV6_PKTINFO");
_Static_assert(clinux_IPV6_RECVPKTINFO == IPV6_RECVPKTINFO, "IPV6_RECVPKTINFO");
_Static_assert(clinux_IPV6_TCLASS == IPV6_TCLASS, "IPV6_TCLASS");
_Static_assert(clinux_IPV6_RECVTCLASS == IPV6_RECVTCLASS, "IPV6_RECVTCLASS");
_Static_assert(clinux_UDP_SEGMENT == UDP_SEGMENT && clinux_UDP_GRO == UDP_GRO, "UDP options");
_Static_assert(clinux_IPV4_DEVCONF_SEND_REDIRECTS == IPV4_DEVCONF_SEND_REDIRECTS, "devconf");

int clinux_recvmmsg(int fd, struct clinux_mmsghdr *messages, unsigned int count, int flags)
{
    return recvmmsg(fd, (struct mmsghdr *)messages, count, flags, NULL);
}

int clinux_sendmmsg(int fd, struct clinux_mmsghdr *messages, unsigned int count, int flags)
{
    return sendmmsg(fd, (struct mmsghdr *)messages, count, flags);
}

int clinux_accept4(int fd)
{
    return accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

int clinux_pipe(int fds[2])
{
    return pipe2(fds, O_CLOEXEC);
}

int clinux_setns(int fd)
{
    return setns(fd, CLONE_NEWNET);
}

int clinux_unshare_network(void)
{
    return unshare(CLONE_NEWNET);
}

int clinux_open(const char *path, int flags)
{
    return open(path, flags | O_CLOEXEC);
}

int clinux_set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -1;
    return fcntl(fd, F_SETFD, FD_CLOEXEC);
}

int clinux_duplicate(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

int clinux_tun_set_interface(int fd, const char *name, int flags)
{
    struct ifreq request = {0};
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    request.ifr_flags = (short)flags;
    return ioctl(fd, TUNSETIFF, &request);
}

int clinux_tun_get_interface(int fd, char *name, int *flags)
{
    struct ifreq request = {0};
    if (ioctl(fd, TUNGETIFF, &request) < 0)
        return -1;
    memcpy(name, request.ifr_name, IFNAMSIZ);
    name[IFNAMSIZ - 1] = 0;
    *flags = (unsigned short)request.ifr_flags;
    return 0;
}

int clinux_link_mtu(int fd, unsigned int index)
{
    struct ifreq request = {0};
    request.ifr_ifindex = (int)index;
    if (ioctl(fd, SIOCGIFNAME, &request) < 0 || ioctl(fd, SIOCGIFMTU, &request) < 0)
        return -1;
    return request.ifr_mtu;
}

int clinux_tun_set_offload(int fd, unsigned int offload)
{
    return ioctl(fd, TUNSETOFFLOAD, (unsigned long)offload);
}

int clinux_tun_set_header_size(int fd, int size)
{
    return ioctl(fd, TUNSETVNETHDRSZ, &size);
}

int clinux_tun_get_namespace(int fd)
{
    // The new descriptor has O_CLOEXEC.
    return ioctl(fd, TUNGETDEVNETNS);
}

void clinux_name_thread(const char *name)
{
    char short_name[16] = {0};
    strncpy(short_name, name, sizeof short_name - 1);
    pthread_setname_np(pthread_self(), short_name);
}

int clinux_processor_count(void)
{
    // EINVAL means that the set is smaller than that of the kernel.
    for (int processors = 1024; processors <= 1 << 20; processors *= 2) {
        cpu_set_t *set = CPU_ALLOC(processors);
        if (!set)
            return 1;
        size_t size = CPU_ALLOC_SIZE(processors);
        int result = sched_getaffinity(0, size, set);
        int count = result == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (count > 0)
            return count;
        if (result < 0 && errno != EINVAL)
            return 1;
    }
    return 1;
}

int clinux_has_capability(int capability)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    if (syscall(SYS_capget, &header, data) < 0)
        return -1;
    return (data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability)) != 0;
}

int clinux_set_capability(int capability, int is_effective)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    if (syscall(SYS_capget, &header, data) < 0)
        return -1;
    if (is_effective)
        data[CAP_TO_INDEX(capability)].effective |= CAP_TO_MASK(capability);
    else
        data[CAP_TO_INDEX(capability)].effective &= ~CAP_TO_MASK(capability);
    return (int)syscall(SYS_capset, &header, data);
}

int clinux_forbid_dumps(void)
{
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

int clinux_allows_dumps(void)
{
    return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
}

void clinux_openlog(const char *identity)
{
    // syslog(3) keeps the pointer.
    static char copy[64];
    strncpy(copy, identity, sizeof copy - 1);
    openlog(copy, LOG_PID, LOG_DAEMON);
}

void clinux_syslog(int priority, const char *message)
{
    syslog(priority, "%s", message);
}

pid_t clinux_fork(void)
{
    return fork();
}

int clinux_exit_status(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
