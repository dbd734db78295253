"""Makes system calls of a daemon fail, with the preloaded library Tests/CFaults."""

import errno
import functools
import mmap
import struct
import subprocess
import tempfile

from swireguard_dev.project import ROOT

CALLS = ("sendmmsg", "recvmmsg", "read", "writev")
ERRORS = ("EIO", "EINVAL", "EMSGSIZE", "ENOBUFS", "EAGAIN", "ENOMEM", "EINTR", "ENETUNREACH",
          "EADDRNOTAVAIL")
RULE = struct.Struct("=iIQQIIIIQQQ")  # struct faults_rule
NUMBER, PASSED, INJECTED = 36, 40, 48  # offsets of fields
UNFINISHED = 0xFFFFFFFF                # FAULTS_UNFINISHED
SOURCE = ROOT / "Tests/CFaults"


@functools.cache
def library():
    """The shared library, built once. Its file is deleted when the process ends."""
    built = tempfile.NamedTemporaryFile(prefix="swireguard-faults-", suffix=".so")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", f"-I{SOURCE}/include",
                    "-o", built.name, SOURCE / "CFaults.c"], check=True)
    return built


class Faults:
    """Rules for faults, which can change while the daemon works; see CFaults.h."""

    def __init__(self):
        self.file = tempfile.NamedTemporaryFile(prefix="swireguard-plan-")
        self.file.truncate(RULE.size * len(CALLS))
        self.plan = mmap.mmap(self.file.fileno(), RULE.size * len(CALLS))
        self.number = 0

    @property
    def before(self):
        """The command that starts the daemon with faults."""
        return ["env", f"LD_PRELOAD={library().name}", f"SWIREGUARD_FAULTS={self.file.name}"]

    def set(self, call, error, times=1, first=0, period=0, runs_only=False, most=0):
        """Makes a call fail from now on, `times` in a row at message `first` and then every `period`."""
        code = getattr(errno, error) if error else 0
        self.number += 1
        # Disable the rule, write it, enable it, and write its number last: messages before the new number
        # are not counted.
        rule = RULE.pack(code, times, first, period, runs_only, 0, most, UNFINISHED, 0, 0, 0)
        at = CALLS.index(call) * RULE.size
        self.plan[at:at + 4] = struct.pack("=i", 0)
        self.plan[at + 4:at + RULE.size] = rule[4:]
        self.plan[at:at + 4] = rule[:4]
        self.plan[at + NUMBER:at + NUMBER + 4] = struct.pack("=I", self.number)

    def clear(self):
        for call in CALLS:
            self.set(call, None)

    def injected(self, call):
        return self.count(call, INJECTED)

    def passed(self, call):
        return self.count(call, PASSED)

    def count(self, call, offset):
        at = CALLS.index(call) * RULE.size + offset
        return struct.unpack("=Q", self.plan[at:at + 8])[0]
