"""The kernel's WireGuard, in place of a daemon."""

import subprocess

from swireguard_dev.daemon import Interface
from swireguard_dev.machines import TIMEOUT

KERNEL = "the kernel"  # stands for a daemon's path


class KernelInterface(Interface):
    """An interface of the kernel's WireGuard. Use it in a `with` statement."""

    def __enter__(self):
        self.machine.ip(f"link add {self.name} type wireguard")
        return self

    def __exit__(self, *_):
        self.machine.ip(f"link delete {self.name}")


def is_here():
    """Whether this kernel has WireGuard. Loads the module if there is one."""
    return subprocess.run(["unshare", "--net", "ip", "link", "add", "wg0", "type", "wireguard"],
                          stderr=subprocess.DEVNULL, timeout=TIMEOUT).returncode == 0


def kernel_log(lines):
    """The last lines of the kernel's log. scripts/guest turns on WireGuard's debug messages."""
    log = subprocess.run(["dmesg"], capture_output=True, text=True, timeout=TIMEOUT).stdout
    return "\n".join(log.splitlines()[-lines:])
