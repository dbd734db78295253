// Declarations that the Glibc module lacks because Swift cannot import them. No logic belongs here.
// _GNU_SOURCE must never be defined in this header: the functions that need it live in CLinux.c.
#ifndef CLINUX_H
#define CLINUX_H

#include <errno.h>
#include <linux/capability.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/net_namespace.h>
#include <linux/netconf.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>

// ---- Constants that are macros with casts, or that older headers lack.

// From Linux 6.2.
enum { clinux_TUN_F_USO4 = 0x20, clinux_TUN_F_USO6 = 0x40 };
enum { clinux_IPV4_DEVCONF_SEND_REDIRECTS = 6 };

enum {
    clinux_SOL_UDP = 17,
    clinux_SOL_NETLINK = 270,
    clinux_UDP_SEGMENT = 103,
    clinux_UDP_GRO = 104,
    clinux_IPV6_PKTINFO = 50,
    clinux_IPV6_RECVPKTINFO = 49,
    clinux_IPV6_TCLASS = 67,
    clinux_IPV6_RECVTCLASS = 66,
    clinux_CLOEXEC_EVENTFD = EFD_CLOEXEC | EFD_NONBLOCK,
    clinux_CLOEXEC_TIMERFD = TFD_CLOEXEC | TFD_NONBLOCK,
    clinux_CLOEXEC_SIGNALFD = SFD_CLOEXEC | SFD_NONBLOCK,
    clinux_CLOEXEC_INOTIFY = IN_CLOEXEC | IN_NONBLOCK,
    clinux_STREAM = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
    clinux_DATAGRAM = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
    clinux_RAW = SOCK_RAW | SOCK_CLOEXEC,
};

// ---- Structures that need _GNU_SOURCE. CLinux.c asserts that their layouts match the originals.

struct clinux_mmsghdr {
    struct msghdr msg_hdr;
    unsigned int msg_len;
};

struct clinux_in_pktinfo {
    int32_t ipi_ifindex;
    uint32_t ipi_spec_dst;
    uint32_t ipi_addr;
};

struct clinux_in6_pktinfo {
    uint8_t ipi6_addr[16];
    uint32_t ipi6_ifindex;
};

// ---- CMSG_*: macros with pointer arithmetic.

static inline struct cmsghdr *_Nullable clinux_cmsg_first(const struct msghdr *_Nonnull message)
{
    return CMSG_FIRSTHDR(message);
}

static inline struct cmsghdr *_Nullable clinux_cmsg_next(struct msghdr *_Nonnull message,
                                                         struct cmsghdr *_Nonnull header)
{
    return CMSG_NXTHDR(message, header);
}

static inline void *_Nonnull clinux_cmsg_data(struct cmsghdr *_Nonnull header)
{
    return CMSG_DATA(header);
}

static inline size_t clinux_cmsg_len(size_t payload)
{
    return CMSG_LEN(payload);
}

static inline size_t clinux_cmsg_space(size_t payload)
{
    return CMSG_SPACE(payload);
}

// ---- Functions that are variadic, macros, or need _GNU_SOURCE.

int clinux_recvmmsg(int fd, struct clinux_mmsghdr *_Nonnull messages, unsigned int count,
                    int flags);
int clinux_sendmmsg(int fd, struct clinux_mmsghdr *_Nonnull messages, unsigned int count,
                    int flags);
int clinux_accept4(int fd);
int clinux_pipe(int fds[_Nonnull 2]);
int clinux_setns(int fd);
int clinux_unshare_network(void);

/// open(2) with O_CLOEXEC added.
int clinux_open(const char *_Nonnull path, int flags);
/// fcntl(2): sets O_NONBLOCK and FD_CLOEXEC.
int clinux_set_nonblocking(int fd);
int clinux_duplicate(int fd);

/// The MTU of the link with this index, through any socket (SIOCGIFNAME, SIOCGIFMTU); −1 if there is none.
int clinux_link_mtu(int fd, unsigned int index);

/// TUNSETIFF and TUNGETIFF; `name` has room for IFNAMSIZ bytes.
int clinux_tun_set_interface(int fd, const char *_Nonnull name, int flags);
int clinux_tun_get_interface(int fd, char *_Nonnull name, int *_Nonnull flags);
int clinux_tun_set_offload(int fd, unsigned int offload);
int clinux_tun_set_header_size(int fd, int size);
/// TUNGETDEVNETNS: opens the network namespace of the interface.
int clinux_tun_get_namespace(int fd);

/// pthread_setname_np for the calling thread.
void clinux_name_thread(const char *_Nonnull name);
/// The number of processors in the affinity mask of the process, at least 1.
int clinux_processor_count(void);
/// 1 if the capability is effective, 0 if not, -1 on an error (errno).
int clinux_has_capability(int capability);
/// capset(2): enables or disables a permitted capability of the calling thread.
int clinux_set_capability(int capability, int is_effective);
/// prctl(PR_SET_DUMPABLE, 0).
int clinux_forbid_dumps(void);
/// prctl(PR_GET_DUMPABLE).
int clinux_allows_dumps(void);

void clinux_openlog(const char *_Nonnull identity);
void clinux_syslog(int priority, const char *_Nonnull message);

/// fork(2). Call it while the process has a single thread.
pid_t clinux_fork(void);

/// WIFEXITED and WEXITSTATUS: the exit status, -1 after a signal.
int clinux_exit_status(int status);

#endif
