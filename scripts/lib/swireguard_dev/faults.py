"""System calls of a daemon that fail on demand: Tests/CFaults in front of the C library."""

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
NUMBER, PASSED, INJECTED = 36, 40, 48  # where these lie in it
UNFINISHED = 0xFFFFFFFF                # FAULTS_UNFINISHED
SOURCE = ROOT / "Tests/CFaults"


@functools.cache
def library():
    """The shared object, built once; its file goes when the tests end."""
    built = tempfile.NamedTemporaryFile(prefix="swireguard-faults-", suffix=".so")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", f"-I{SOURCE}/include",
                    "-o", built.name, SOURCE / "CFaults.c"], check=True)
    return built


class Faults:
    """A plan of faults, which may be changed while the daemon runs; see CFaults.h."""

    def __init__(self):
        self.file = tempfile.NamedTemporaryFile(prefix="swireguard-plan-")
        self.file.truncate(RULE.size * len(CALLS))
        self.plan = mmap.mmap(self.file.fileno(), RULE.size * len(CALLS))
        self.number = 0

    @property
    def before(self):
        """What comes before the daemon in its command line."""
        return ["env", f"LD_PRELOAD={library().name}", f"SWIREGUARD_FAULTS={self.file.name}"]

    def set(self, call, error, times=1, first=0, period=0, runs_only=False, most=0):
        """From now on a call fails: `times` in a row at message `first`, and every `period` later."""
        code = getattr(errno, error) if error else 0
        self.number += 1
        # First that nothing fails, then the rule; its number last, for a message that passes before it
        # is there is not counted.
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

    def count(self, call, place):
        at = CALLS.index(call) * RULE.size + place
        return struct.unpack("=Q", self.plan[at:at + 8])[0]
