"""A tunnel between two containers that have NET_ADMIN and /dev/net/tun and nothing else.

The image consists of local files only: a Debian tree (debootstrap, cached in .cache) and the daemon.
In one container the daemon is the first process; in the other `wg-quick` starts it.
"""

import json
import os
import shutil
import subprocess

import pytest

from swireguard_dev.daemon import Keys
from swireguard_dev.machines import TIMEOUT, Machine, connect, wait_until
from swireguard_dev.project import OURS, ROOT
from swireguard_dev.topology import MTU, PORT, Peer
from swireguard_dev.traffic import exchange_datagrams, full_ping, send_stream

TREE = ROOT / ".cache/container-root"
PACKAGES = ["libsodium23", "libb2-1", "wireguard-tools", "iproute2", "iputils-ping"]
UNNEEDED = ["dev", "var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale",
            "usr/share/man"]
BASE = "localhost/swireguard-go-test-base"
IMAGE = f"localhost/swireguard-go-test-{os.getpid()}"

# Keeps podman from requesting rights that a test machine may lack.
PODMAN = ["podman", "--cgroup-manager", "cgroupfs", "--runtime", "runc"]
LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]


def podman(*arguments, timeout=TIMEOUT, **options):
    result = subprocess.run([*PODMAN, *map(str, arguments)], timeout=timeout, text=True,
                            capture_output=True, **options)
    assert result.returncode == 0, f"podman {arguments}:\n{result.stdout}{result.stderr}"
    return result.stdout.strip()


def make_tree():
    """A minimal Debian tree of this system's release, from this system's archive."""
    if TREE.exists():
        return
    archive = subprocess.run([ROOT / "scripts/lib/debian-archive"], check=True, text=True,
                             capture_output=True).stdout.strip()
    with open("/etc/os-release") as file:
        release = dict(line.rstrip().split("=", 1) for line in file if "=" in line)
    unfinished = TREE.with_name("container-root.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.parent.mkdir(exist_ok=True)
    result = subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}",
         release["VERSION_CODENAME"], unfinished, archive],
        timeout=600, text=True, capture_output=True)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr
    for directory in UNNEEDED:
        shutil.rmtree(unfinished / directory)
    (unfinished / "dev").mkdir()
    # podman does not grant NET_RAW, and a program whose file has that capability may fail to start.
    os.removexattr(unfinished / "usr/bin/ping", "security.capability")
    unfinished.rename(TREE)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    if subprocess.run([*PODMAN, "image", "exists", BASE], timeout=TIMEOUT).returncode != 0:
        make_tree()
        podman("build", "--isolation", "chroot", "--tag", BASE, "--file", "-", TREE, timeout=300,
               input="FROM scratch\nCOPY . /\n")
    context = tmp_path_factory.mktemp("image")
    shutil.copy(OURS, context / "swireguard-go")
    podman("build", "--isolation", "chroot", "--tag", IMAGE, "--file", "-", context, timeout=120,
           input=f"FROM {BASE}\nCOPY swireguard-go /usr/bin/swireguard-go\n")
    yield IMAGE
    podman("rmi", IMAGE)


class Container(Machine):
    """A machine managed by podman. Commands run inside it with `podman exec`, as a user's would."""

    def __init__(self, name, image, *command):
        super().__init__(name)
        self.image = image
        self.command = command

    def __enter__(self):
        self.id = podman("run", "--detach", *LIMITS, "--network", "none", "--cap-add", "NET_ADMIN",
                         "--device", "/dev/net/tun", self.image, *self.command)
        self.pid = self.inspect("State")["Pid"]
        return self

    def __exit__(self, *_):
        podman("rm", "--force", "--time", 0, self.id)

    def inspect(self, what):
        return json.loads(podman("inspect", self.id))[0][what]

    def inside(self, *command, **options):
        interactive = ["--interactive"] if "input" in options else []
        return podman("exec", *interactive, self.id, *command, **options)

    def write(self, path, text):
        self.inside("sh", "-c", f"umask 077; mkdir -p {os.path.dirname(path)}; cat >{path}",
                    input=text)

    def running(self, program):
        # By name: the exe link of an undumpable process cannot be read.
        script = f"""for status in /proc/[0-9]*/status; do
            grep -q '^Name:.{program}$' $status && ! grep -q '^State:.Z' $status && echo $status
        done 2>/dev/null; true"""
        return self.inside("sh", "-c", script).split()


def configuration(keys, peer):
    return (f"[Interface]\nPrivateKey = {keys.private}\nListenPort = {PORT}\n" + peer.section())


@pytest.mark.limit(90)
def test_two_containers_have_a_tunnel(image):
    a, b = Keys(), Keys()
    with Container("alice", image, "swireguard-go", "-f", "wg0") as alice, \
            Container("bob", image, "sleep", "infinity") as bob:
        connect(alice, "eth0", bob, "eth0", ["10.0.0.1/24"], ["10.0.0.2/24"])

        wait_until(lambda: alice.has_link("wg0"), "the link exists")
        alice.inside("wg", "setconf", "wg0", "/dev/stdin", input=configuration(
            a, Peer(b.public, ["192.168.241.2/32", "fd00::2/128"])))
        for command in ["address add 192.168.241.1/24 dev wg0", "address add fd00::1/112 dev wg0",
                        f"link set wg0 mtu {MTU} up"]:
            alice.inside("ip", *command.split())

        bob.write("/etc/wireguard/wg0.conf", "[Interface]\n"
                  "Address = 192.168.241.2/24, fd00::2/112\n" + configuration(
                      b, Peer(a.public, ["192.168.241.1/32", "fd00::1/128"],
                              endpoint=f"10.0.0.1:{PORT}")).removeprefix("[Interface]\n"))
        bob.inside("env", "WG_QUICK_USERSPACE_IMPLEMENTATION=swireguard-go", "wg-quick", "up",
                   "wg0")
        assert bob.running("swireguard-go"), "wg-quick started no daemon: does this kernel have the module?"

        for address, other in [("192.168.241.1", "192.168.241.2"), ("fd00::1", "fd00::2")]:
            bob.inside("ping", "-c", 3, "-i", "0.2", "-W", 2, address)
            alice.inside("ping", "-c", 3, "-i", "0.2", "-W", 2, other)
            full_ping(bob, address, MTU)
            send_stream(bob, alice, address, size=20_000_000)
            send_stream(alice, bob, other, size=20_000_000)
            exchange_datagrams(bob, alice, address, range(0, 1372, 91))
        assert f"endpoint: 10.0.0.2:{PORT}" in alice.inside("wg", "show")

        bob.inside("wg-quick", "down", "wg0")
        wait_until(lambda: not bob.running("swireguard-go"), "the daemon ends with its link",
                   within=10)

        # The first process of a container receives only signals that it handles.
        podman("stop", "--time", 5, alice.id)
        assert alice.inspect("State")["ExitCode"] == 0


@pytest.mark.limit(90)
def test_a_container_without_the_capability_gets_an_error(image):
    result = subprocess.run(
        [*PODMAN, "run", "--rm", *LIMITS, "--network", "none", "--device", "/dev/net/tun", image,
         "swireguard-go", "wg0"], timeout=TIMEOUT, text=True, capture_output=True)
    assert result.returncode not in (0, 125, 126, 127)
    assert "CAP_NET_ADMIN" in result.stderr


@pytest.mark.limit(90)
def test_a_container_without_the_device_gets_an_error(image):
    result = subprocess.run(
        [*PODMAN, "run", "--rm", *LIMITS, "--network", "none", "--cap-add", "NET_ADMIN", image,
         "swireguard-go", "wg0"], timeout=TIMEOUT, text=True, capture_output=True)
    assert result.returncode not in (0, 125, 126, 127)
    assert "/dev/net/tun" in result.stderr
