"""Counts the system calls of processes with the kernel's own tracepoint, while they run at full speed.

This is what `perf stat -e raw_syscalls:sys_enter` does, without perf.
"""

import ctypes
import os
import pathlib
import platform
import struct

from swireguard_dev.benchmark.failure import Failure

TRACEFS = "/sys/kernel/tracing"
IDENTIFIER = TRACEFS + "/events/raw_syscalls/sys_enter/id"
# The number of perf_event_open, for which libc has no function.
PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
TYPE_TRACEPOINT = 2
ATTRIBUTE_SIZE = 64  # of the first version of the structure
INHERIT = 1 << 1

libc = ctypes.CDLL(None, use_errno=True)


class SystemCallCounter:
    """Counts from its making on, in all threads of the processes and in those that they start."""

    def __init__(self, machine, pids):
        """machine: any one; the tracepoints are mounted in it."""
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
        raise Failure("system calls cannot be counted: the kernel has no tracepoint "
                      "raw_syscalls:sys_enter (CONFIG_FTRACE_SYSCALLS), or tracefs may not be "
                      "mounted")
    return int(path.read_text())


def opened(tracepoint, thread):
    number = PERF_EVENT_OPEN.get(platform.machine())
    if number is None:
        raise Failure(f"system calls cannot be counted on {platform.machine()}")
    # type, size, config, sample_period, sample_type, read_format, flags, …
    attribute = struct.pack("IIQQQQQ", TYPE_TRACEPOINT, ATTRIBUTE_SIZE, tracepoint, 0, 0, 0,
                            INHERIT).ljust(ATTRIBUTE_SIZE, b"\0")
    file = libc.syscall(number, attribute, thread, -1, -1, 0)
    if file < 0:
        raise Failure("system calls cannot be counted: perf_event_open: "
                      f"{os.strerror(ctypes.get_errno())}")
    return file
