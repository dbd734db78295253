"""Counts the system calls of processes with a kernel tracepoint, without slowing them down.

Equivalent to `perf stat -e raw_syscalls:sys_enter`, but does not need perf.
"""

import ctypes
import os
import pathlib
import platform
import struct

from swireguard_dev.benchmark.failure import Failure

TRACEFS = "/sys/kernel/tracing"
IDENTIFIER = TRACEFS + "/events/raw_syscalls/sys_enter/id"
# System call number of perf_event_open; libc has no wrapper.
PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
TYPE_TRACEPOINT = 2
ATTRIBUTE_SIZE = 64  # PERF_ATTR_SIZE_VER0
INHERIT = 1 << 1

libc = ctypes.CDLL(None, use_errno=True)


class SystemCallCounter:
    """Counts from its creation on, in all threads of the processes and in new threads."""

    def __init__(self, machine, pids):
        """machine: any machine; tracefs is mounted in it."""
        tracepoint = identifier(machine)
        self.files = []
        for pid in pids:
            for thread in os.listdir(f"/proc/{pid}/task"):
                self.files.append(opened(tracepoint, int(thread)))

    def count(self):
        return sum(struct.unpack("Q", os.read(file, 8))[0] for file in self.files)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for file in self.files:
            os.close(file)


def identifier(machine):
    path = pathlib.Path(machine.path(IDENTIFIER))
    if not path.exists():
        machine.attempt("mount", "-t", "tracefs", "tracefs", TRACEFS)
    if not path.exists():
        raise Failure("cannot count system calls: the kernel lacks the tracepoint "
                      "raw_syscalls:sys_enter (CONFIG_FTRACE_SYSCALLS), or mounting tracefs is not "
                      "permitted")
    return int(path.read_text())


def opened(tracepoint, thread):
    number = PERF_EVENT_OPEN.get(platform.machine())
    if number is None:
        raise Failure(f"cannot count system calls on {platform.machine()}")
    # type, size, config, sample_period, sample_type, read_format, flags, …
    attribute = struct.pack("IIQQQQQ", TYPE_TRACEPOINT, ATTRIBUTE_SIZE, tracepoint, 0, 0, 0,
                            INHERIT).ljust(ATTRIBUTE_SIZE, b"\0")
    file = libc.syscall(number, attribute, thread, -1, -1, 0)
    if file < 0:
        raise Failure("cannot count system calls: perf_event_open: "
                      f"{os.strerror(ctypes.get_errno())}")
    return file
