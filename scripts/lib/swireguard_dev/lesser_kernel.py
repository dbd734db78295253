"""A program that executes another one as on a kernel that lacks a feature.

Arguments: LACK PROGRAM…, with LACK from LACKS. A seccomp filter makes the system calls of that feature fail as
they would on such a kernel.
"""

import ctypes
import errno
import os
import platform
import socket
import struct
import sys

# (system call, low words of its arguments with None for any, errno)
LACKS = {
    "IPv6": [("socket", [socket.AF_INET6], errno.EAFNOSUPPORT)],
    "the right to set marks": [("setsockopt", [None, socket.SOL_SOCKET, 36], errno.EPERM)],
    "the right to have large buffers": [("setsockopt", [None, socket.SOL_SOCKET, 32], errno.EPERM),
                                        ("setsockopt", [None, socket.SOL_SOCKET, 33], errno.EPERM)],
    "TUN offloads": [("ioctl", [None, 0x400454D0], errno.EINVAL)],
    "UDP_SEGMENT": [("setsockopt", [None, socket.SOL_UDP, 103], errno.ENOPROTOOPT),
                    ("getsockopt", [None, socket.SOL_UDP, 103], errno.ENOPROTOOPT)],
    "UDP_GRO": [("setsockopt", [None, socket.SOL_UDP, 104], errno.ENOPROTOOPT)],
}
LACKS["all offloads"] = [call for lack in ("TUN offloads", "UDP_SEGMENT", "UDP_GRO")
                         for call in LACKS[lack]]

NUMBERS = {  # of system calls
    "x86_64": {"ioctl": 16, "socket": 41, "setsockopt": 54, "getsockopt": 55},
    "aarch64": {"ioctl": 29, "socket": 198, "setsockopt": 208, "getsockopt": 209},
}[platform.machine()]

LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # classic BPF
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


def instruction(code, value, if_true=0, if_false=0):
    return struct.pack("=HBBI", code, if_true, if_false, value)


def filter_of(calls):
    program = []
    for name, arguments, number in calls:
        tests = [(0, NUMBERS[name])] + [(16 + 8 * index, value) for index, value
                                        in enumerate(arguments) if value is not None]
        for position, (offset, value) in enumerate(tests):
            after = 2 * (len(tests) - position - 1) + 1  # instructions to skip on a mismatch
            program += [instruction(LOAD_WORD, offset),
                        instruction(JUMP_IF_EQUAL, value, if_false=after)]
        program.append(instruction(RETURN, ERRNO | number))
    program.append(instruction(RETURN, ALLOW))
    return program


def main():
    program = filter_of(LACKS[sys.argv[1]])
    code = ctypes.create_string_buffer(b"".join(program))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in [(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
                      (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0)]:
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
