"""The host and the interfaces of a measurement."""

import array
import contextlib
import fcntl
import json
import os
import pathlib
import platform
import re
import shutil
import socket
import struct
import subprocess

from swireguard_dev.benchmark.failure import Failure
from swireguard_dev.benchmark.interface import NAME

# Program: Debian package.
TOOLS = {
    "ip": "iproute2", "iperf3": "iperf3", "wg": "wireguard-tools", "ping": "iputils-ping",
    "setpriv": "util-linux", "unshare": "util-linux", "nsenter": "util-linux",
}
SIOCETHTOOL = 0x8946
# ETHTOOL_GTXCSUM, ETHTOOL_GTSO, ETHTOOL_GGSO, ETHTOOL_GGRO
OFFLOADS = {"checksums": 0x16, "tso": 0x1E, "gso": 0x23, "gro": 0x2B}

EMULATED = ("THESE FIGURES MEAN NOTHING: the processor is emulated. They only show that the benchmark "
            "works.")


def check():
    """Raises a Failure that names all missing programs."""
    if os.geteuid() != 0:
        raise Failure("network namespaces and interfaces need root")
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        packages = sorted({TOOLS[tool] for tool in missing})
        raise Failure(f"missing {', '.join(missing)}: scripts/install-dependencies --test, or "
                      f"apt-get install {' '.join(packages)}")


# Every kernel has Reno, and it keeps no state after a socket switches to another one.
FIRST_CONGESTION_CONTROL = "reno"


def describe(mtu, congestion_control):
    """The conditions that two runs must share to appear in one table."""
    name = processor()
    return {
        # Only present on emulated processors, so that older files still match.
        **({"warning": EMULATED} if is_emulated(name) else {}),
        "processor": name, "processors": os.cpu_count(),
        "memory": f"{memory_size() / 1e9:.0f} GB",
        "kernel": f"{os.uname().sysname} {os.uname().release} {os.uname().machine}",
        "distribution": distribution(),
        "virtualization": virtualization(),
        "congestion control": congestion_control,
        "sockets begin with": FIRST_CONGESTION_CONTROL, "mtu": mtu,
        "iperf3": version("iperf3", "--version"), "wg": version("wg", "--version"),
    }


def congestion_control(requested):
    """The requested congestion control, or the default, cubic."""
    available = pathlib.Path(
        "/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
    if requested is None:
        return "cubic" if "cubic" in available else available[0]
    if requested not in available:
        raise Failure(f"congestion control {requested} is not available; this kernel has "
                      f"{', '.join(available)}")
    return requested


def processor():
    with open("/proc/cpuinfo") as file:
        found = re.search(r"^model name\s*: (.*)$", file.read(), re.MULTILINE)
    return found[1] if found else platform.machine()


def is_emulated(name):
    """Whether QEMU emulates a processor of this name without KVM."""
    return "QEMU TCG" in name


def memory_size():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def distribution():
    with contextlib.suppress(OSError):
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    return "unknown"


def virtualization():
    with open("/proc/cpuinfo") as file:
        return "virtual machine" if " hypervisor" in file.read() else "none seen"


def version(*command):
    output = subprocess.run(command, capture_output=True, text=True).stdout
    return " ".join(output.partition("\n")[0].split()[:2])


def interface(machine, name=NAME):
    """Queues, sizes and offloads of an interface."""
    link = json.loads(machine.run("ip", "-details", "-json", "link", "show", name))[0]
    wanted = ("mtu", "txqlen", "gso_max_size", "gso_max_segs", "qdisc")
    found = {key: link[key] for key in wanted if key in link}
    queues = os.listdir(machine.path(f"/sys/class/net/{name}/queues"))
    found["queues"] = sum(queue.startswith("tx") for queue in queues)
    with machine.entered():
        control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with control:
        for offload, command in OFFLOADS.items():
            found[offload] = "on" if ethtool_value(control, name, command) else "off"
    return found


def ethtool_value(control, name, command):
    """A one-bit ETHTOOL_G… value, read through struct ethtool_value in struct ifreq."""
    value = array.array("I", [command, 0])
    request = struct.pack("16sP16x", name.encode(), value.buffer_info()[0])
    with contextlib.suppress(OSError):
        fcntl.ioctl(control, SIOCETHTOOL, request)
    return value[1]
