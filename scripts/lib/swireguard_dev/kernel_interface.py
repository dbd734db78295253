"""The kernel's own WireGuard, in the place of a daemon."""

import subprocess

from swireguard_dev.daemon import Interface
from swireguard_dev.machines import TIMEOUT

KERNEL = "the kernel"  # in the place of a daemon's path


class KernelInterface(Interface):
    """An interface of the kernel's WireGuard; to be used in a `with` statement."""

    def __enter__(self):
        self.machine.ip(f"link add {self.name} type wireguard")
        return self

    def __exit__(self, *_):
        self.machine.ip(f"link delete {self.name}")


def is_here():
    """Whether this machine's kernel has WireGuard; if it is a module, this loads it."""
    return subprocess.run(["unshare", "--net", "ip", "link", "add", "wg0", "type", "wireguard"],
                          stderr=subprocess.DEVNULL, timeout=TIMEOUT).returncode == 0


def kernel_log(lines):
    """The end of it, which says more once its debugging is switched on (as scripts/guest does)."""
    log = subprocess.run(["dmesg"], capture_output=True, text=True, timeout=TIMEOUT).stdout
    return "\n".join(log.splitlines()[-lines:])
