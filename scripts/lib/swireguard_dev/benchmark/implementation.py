"""The implementations that are compared: daemons, the kernel's module, and the bare veth pair."""

import hashlib
import os
import pathlib
import re
import shlex
import shutil
import subprocess

from swireguard_dev.benchmark.failure import Failure
from swireguard_dev.benchmark.interface import DaemonInterface, KernelInterface
from swireguard_dev.machines import Machine
from swireguard_dev.project import ROOT

OURS = "swireguard-go"
CABLE = "veth"
KERNEL = "kernel"


class DaemonImplementation:
    """A program that starts with `PROGRAM -f INTERFACE`."""

    has_daemon = True

    def __init__(self, name, program, environment):
        self.name = name
        self.program = program
        self.environment = environment

    def interface(self, machine):
        return DaemonInterface(machine, self.program, self.environment)

    def description(self):
        """The version and the digest of the program."""
        try:
            answer = subprocess.run([self.program, "--version"], capture_output=True, text=True,
                                    timeout=20, env={**os.environ, **self.environment})
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Failure(f"cannot start {self.program}: {error}") from None
        output = (answer.stdout + answer.stderr).strip()
        version = output.partition("\n")[0]
        digest = hashlib.sha256(pathlib.Path(self.program).read_bytes()).hexdigest()
        found = {"version": version or "unknown", "sha256": digest[:12]}
        if pathlib.Path(self.program).is_relative_to(ROOT / ".build"):
            found["commit"] = commit()
        if sealer := re.search(r"^Packets are sealed by (.*)\.$", output, re.MULTILINE):
            found["aead"] = sealer[1]
        if self.environment:
            found["environment"] = self.environment
        return found


class KernelImplementation:
    name = KERNEL
    has_daemon = False

    def interface(self, machine):
        return KernelInterface(machine)

    def description(self):
        version = pathlib.Path("/sys/module/wireguard/version")
        number = version.read_text().strip() if version.exists() else "built in"
        return {"version": f"Linux {os.uname().release}, wireguard {number}"}


class CableImplementation:
    """No tunnel: the limits of the veth pair, iperf3 and ping."""

    name = CABLE
    has_daemon = False

    def description(self):
        return {"version": f"Linux {os.uname().release}"}


def find(peers, kernel, only):
    """The available implementations, ours first, and remarks on missing ones.

    peers: `[VARIABLE=VALUE …] PROGRAM`, in shell syntax. kernel: fail if the kernel has no WireGuard.
    """
    remarks = []
    ours = os.environ.get("SWIREGUARD", str(ROOT / ".build/release/swireguard-go"))
    theirs = os.environ.get("WIREGUARD_GO", str(ROOT / ".cache/peer/wireguard-go"))
    found = []
    if only is None or OURS in only:
        found.append(daemon(ours, "scripts/build, or name another in SWIREGUARD"))
    if os.access(theirs, os.X_OK):
        found.append(daemon(theirs))
    else:
        remarks.append("wireguard-go is missing: scripts/fetch-peer, or name one in WIREGUARD_GO")
    for peer in peers:
        found.append(daemon(peer, taken={one.name for one in found}))
    if kernel_has_wireguard():
        found.append(KernelImplementation())
    elif kernel:
        raise Failure(f"this kernel, {os.uname().release}, has no WireGuard (CONFIG_WIREGUARD, "
                      "`modprobe wireguard`)")
    else:
        remarks.append("this kernel has no WireGuard; it is left out")
    found.append(CableImplementation())
    if only is not None:
        unknown = only - {one.name for one in found}
        if unknown:
            raise Failure(f"unknown implementation {', '.join(sorted(unknown))}; available: "
                          f"{', '.join(one.name for one in found)}")
        found = [one for one in found if one.name in only]
        remarks = []
    return found, remarks


def commit():
    answer = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"],
                            capture_output=True, text=True)
    return answer.stdout.strip() or "unknown"


def daemon(command, remedy="check the path", taken=()):
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise Failure(f"{command!r}: {error}") from None
    environment = {}
    while words and "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        environment[name] = value
    if len(words) != 1:
        raise Failure(f"{command!r} is not `[VARIABLE=VALUE …] PROGRAM`")
    program = shutil.which(words[0])
    if program is None:
        if os.path.exists(words[0]):
            raise Failure(f"{words[0]} is not a program")
        raise Failure(f"{words[0]} does not exist: {remedy}")
    program = os.path.realpath(program)
    name = " ".join([os.path.basename(program),
                     *(f"{name}={value}" for name, value in environment.items())])
    if name in taken:
        name = command
    return DaemonImplementation(name, program, environment)


def kernel_has_wireguard():
    with Machine("probe") as machine:
        return machine.attempt("ip", "link", "add", "wg0", "type", "wireguard").returncode == 0
