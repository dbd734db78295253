"""How the daemon starts, refuses to start, and ends."""

import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys

import pytest

from swireguard_dev.daemon import Daemon, Keys
from swireguard_dev.machines import Machine, wait_until
from swireguard_dev.project import OURS

SOCKET = "/run/wireguard/wg0.sock"


@pytest.fixture
def machine():
    with Machine("alice") as machine:
        yield machine


def lacks_instructions(name):
    """True if this processor lacks the instructions for a value of WG_AEAD."""
    needed = {"lanes": {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512ifma", "avx512_vbmi2"},
              "lanes-avx2": {"avx2", "bmi2"}}
    flags = pathlib.Path("/proc/cpuinfo").read_text().split()
    return not needed.get(name, set()) <= set(flags)


def links(machine):
    return sorted(os.listdir(machine.path("/sys/class/net")))


def sockets(machine):
    with contextlib.suppress(FileNotFoundError):
        return sorted(os.listdir(machine.path("/run/wireguard")))
    return []


def start(machine, *arguments, before=(), without=("LOG_LEVEL",), **options):
    """Starts the daemon as a user would, and waits for the parent to return."""
    unset = [part for name in without for part in ("-u", name)]
    return machine.attempt(*before, "env", *unset, OURS, *arguments, leaves_processes=True,
                           **{"timeout": 10, **options})


def assert_refused(machine, result, *words, one_line=True):
    """A non-zero status, a message on stderr, and no interface or socket."""
    assert result.returncode not in (0, -signal.SIGABRT, -signal.SIGILL, -signal.SIGTRAP), result
    assert result.stdout == "", result.stdout
    assert result.stderr.strip(), "nothing on stderr"
    if one_line:
        assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    for word in words:
        assert word.lower() in result.stderr.lower(), result.stderr
    wait_until(lambda: not machine.processes(OURS), "all processes ended", within=10)


# Starting.

@pytest.mark.parametrize("arguments, environment", [
    (["wg0"], None), (["-f", "wg0"], {}), (["--foreground", "wg0"], {}),
    (["wg0"], {"WG_PROCESS_FOREGROUND": "1"}),
], ids=["daemonised", "-f", "--foreground", "WG_PROCESS_FOREGROUND=1"])
def test_it_starts(machine, arguments, environment):
    if environment is None:
        assert start(machine, *arguments).returncode == 0
        # Immediately: `wg-quick` configures as soon as the parent returns.
        assert machine.has_link("wg0") and os.path.exists(machine.path(SOCKET))
        assert "interface: wg0" in machine.run("wg", "show", "wg0")
        return
    *flags, name = arguments
    with Daemon(machine, name=name, arguments=flags, environment=environment) as daemon:
        assert machine.has_link("wg0")
        assert machine.processes(OURS) == [daemon.pid]


@pytest.mark.parametrize("arguments", [["wg0"], ["--socket-directory", "/run/wireguard", "wg0"]])
@pytest.mark.parametrize("aead", ["", "lanes", "sodium"])
def test_the_keys_of_a_daemon_are_in_locked_memory(machine, arguments, aead):
    """Locks are not inherited: memory that the parent locked is unlocked in the daemon."""
    assert start(machine, *arguments, before=("env", f"WG_AEAD={aead}")).returncode == 0
    (pid,) = machine.processes(OURS)
    machine.run("wg", "set", "wg0", "private-key", "/dev/stdin", input=Keys().private)
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    assert int(re.search(r"^VmLck:\s+(\d+) kB$", status, re.MULTILINE)[1]) > 0


def test_a_daemon_survives_its_terminal(machine):
    """It has its own session and none of the caller's descriptors."""
    assert start(machine, "wg0", stdin=subprocess.DEVNULL).returncode == 0
    (pid,) = machine.processes(OURS)
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    assert fields[3] != str(os.getsid(0)), "it is in the caller's session"
    for number in (0, 1, 2):
        assert os.readlink(f"/proc/{pid}/fd/{number}") == "/dev/null"
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not machine.processes(OURS), "it ends", within=10)
    assert links(machine) == ["lo"] and sockets(machine) == []


def test_with_a_log_level_a_daemon_keeps_its_stderr(machine):
    log = pathlib.Path(machine.path("/run/log"))
    command = f"LOG_LEVEL=verbose {OURS} wg0 >/run/log 2>&1"
    assert machine.attempt("sh", "-c", command, leaves_processes=True).returncode == 0
    (pid,) = machine.processes(OURS)
    assert os.readlink(f"/proc/{pid}/fd/1").endswith("/run/log")
    machine.ip("link set wg0 up")
    wait_until(lambda: log.stat().st_size > 0, "it says something")


def test_without_a_log_level_a_daemon_logs_to_syslog(machine):
    """The test listens on /dev/log; the messages carry the program's name."""
    # A private /dev with what the daemon needs, so that the host's stays untouched.
    script = ("mkdir -p /run/dev/net && mount --bind /dev /run/dev && mount -t tmpfs tmpfs /dev && "
              "mkdir /dev/net && for f in null zero full random urandom tty net/tun; do "
              "touch /dev/$f && mount --bind /run/dev/$f /dev/$f; done")
    machine.run("sh", "-c", script)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(machine.path("/dev/log"))
        syslog.settimeout(5)
        assert start(machine, "wg0").returncode == 0
        machine.ip("link set wg0 up")
        message = syslog.recv(4096).decode()
    assert message.startswith("<") and "swireguard-go" in message
    assert "wg0" in message


@pytest.mark.parametrize("name", ["sodium", "ipsec-mb", "lanes", "lanes-avx2"])
def test_the_aead_can_be_chosen(machine, name):
    if name != "sodium" and os.uname().machine != "x86_64":
        result = start(machine, "-f", "wg0", before=("env", f"WG_AEAD={name}"))
        return assert_refused(machine, result, "WG_AEAD", "x86-64")
    sealer = "lanes-avx2" if name == "lanes" and lacks_instructions(name) else name
    if lacks_instructions(sealer):
        result = start(machine, "-f", "wg0", before=("env", f"WG_AEAD={name}"))
        return assert_refused(machine, result, "WG_AEAD", "processor")
    with Daemon(machine, environment={"WG_AEAD": name}) as daemon:
        assert f"packets are sealed by {sealer} " in daemon.log_text()


def test_an_unknown_aead_is_refused(machine):
    result = start(machine, "wg0", before=("env", "WG_AEAD=rot13"))
    assert_refused(machine, result, "WG_AEAD", "rot13", one_line=False)


@pytest.mark.parametrize("level, says_something", [
    ("verbose", True), ("debug", True), ("info", None), ("error", False), ("silent", False),
])
def test_log_levels(machine, level, says_something):
    with Daemon(machine, environment={"LOG_LEVEL": level}) as daemon:
        machine.ip("link set wg0 up")
        machine.ip("link set wg0 down")
        daemon.ask("get=1\n\n")
    if says_something is not None:
        assert bool(daemon.log_text()) == says_something, daemon.log_text()


def test_an_unknown_log_level_does_not_prevent_a_start(machine):
    with Daemon(machine, environment={"LOG_LEVEL": "WARN"}):
        assert machine.has_link("wg0")


def test_a_silent_daemon_closes_its_standard_output(machine):
    """A program that reads its output sees end of file, as with wireguard-go."""
    assert start(machine, "wg0", environment={"LOG_LEVEL": "silent"}, without=()).returncode == 0
    (pid,) = machine.processes(OURS)
    assert os.readlink(f"/proc/{pid}/fd/1") == "/dev/null"


def test_a_relative_directory_is_relative_to_the_caller(machine):
    command = f"mkdir -p /run/here && cd /run/here && env -u LOG_LEVEL {OURS} " \
              "--socket-directory sockets wg0"
    assert machine.attempt("sh", "-c", command, leaves_processes=True).returncode == 0
    assert os.listdir(machine.path("/run/here/sockets")) == ["wg0.sock"]


MAKE_TUN = """
import fcntl, os, struct, sys
tun = os.open("/dev/net/tun", os.O_RDWR)
name, flags = sys.argv[1].encode(), int(sys.argv[2])
fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", name, flags))
os.set_inheritable(tun, True)
os.environ["WG_TUN_FD"] = str(tun)
os.system(sys.argv[3])
os.execvp(sys.argv[4], sys.argv[4:])
"""
ONE_QUEUE = 0x0001 | 0x1000 | 0x4000  # IFF_TUN | IFF_NO_PI | IFF_VNET_HDR
QUEUES = ONE_QUEUE | 0x0100  # IFF_MULTI_QUEUE


def with_tun(name="wg0", flags=ONE_QUEUE, then="true"):
    """A command prefix that passes the daemon a TUN descriptor; `then` runs in between."""
    return [sys.executable, "-c", MAKE_TUN, name, flags, then]


@pytest.mark.parametrize("flags", [0x1001, 0x1101, ONE_QUEUE, QUEUES],
                         ids=["plain", "queues", "virtio", "virtio, queues"])
def test_a_passed_tun_is_used(machine, flags):
    """WG_TUN_FD: a TUN descriptor."""
    with Daemon(machine, before=with_tun(flags=flags)) as daemon:
        assert "interface: wg0" in machine.run("wg", "show", "wg0")
        assert machine.has_link("wg0")
        assert "mtu 1420" in machine.run("ip", "link", "show", "dev", "wg0")
        machine.ip("link set wg0 up")
        wait_until(lambda: "is up" in daemon.log_text(), "the daemon sees the link go up")


def test_a_passed_tun_keeps_its_name(machine):
    """The tools look for a socket with the interface's name."""
    machine.popen(*with_tun(name="mine"), OURS, "-f", "wg0")
    wait_until(lambda: sockets(machine), "it listens")
    assert sockets(machine) == ["mine.sock"] and "mine" in links(machine)
    assert "interface: mine" in machine.run("wg", "show", "mine")


@pytest.mark.parametrize("flags", [ONE_QUEUE, QUEUES])
def test_a_passed_tun_in_another_namespace_is_used_there(machine, flags):
    """The daemon attaches queues by name, which would create a second interface here."""
    with Machine("jail") as jail:
        before = with_tun(flags=flags, then=f"ip link set wg0 netns {jail.pid}")
        with Daemon(machine, before=before) as daemon:
            assert links(machine) == ["lo"]
            jail.ip("link set wg0 up")
            wait_until(lambda: "is up" in daemon.log_text(), "the daemon sees the link go up")


def test_a_passed_listening_socket_is_used(machine):
    """WG_UAPI_FD."""
    directory = pathlib.Path(machine.path("/run/wireguard"))
    directory.mkdir(mode=0o755)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(machine.path(SOCKET))
        listener.listen()
        process = machine.popen(OURS, "-f", "wg0", pass_fds=[listener.fileno()],
                                environment={"WG_UAPI_FD": str(listener.fileno())})
        wait_until(lambda: machine.has_link("wg0"), "the link exists")
        assert "interface: wg0" in machine.run("wg", "show", "wg0")
        process.send_signal(signal.SIGTERM)
        assert process.wait(2) == 0


def test_the_version_is_printed(machine):
    result = start(machine, "--version")
    assert result.returncode == 0
    # scripts/build passes the commit; a plain `swift build` does not.
    assert re.match(r"swireguard-go \d+\.\d+\.\d+ \(([0-9a-f]{12}(-dirty)?|unknown commit)\)\n", result.stdout)
    assert result.stdout.splitlines()[-1].startswith("Packets are sealed by ")
    chosen = start(machine, "--version", before=("env", "WG_AEAD=sodium"))
    assert chosen.stdout.splitlines()[-1].startswith("Packets are sealed by sodium 1.")
    assert links(machine) == ["lo"]


def test_help_is_printed(machine):
    result = start(machine, "--help")
    assert result.returncode == 0
    for word in ("usage", "INTERFACE", "--foreground", "--version", "LOG_LEVEL"):
        assert word.lower() in (result.stdout + result.stderr).lower()
    assert links(machine) == ["lo"]


def niceness(machine):
    """The nice value of each thread, by name; both workers share one."""
    pid, = machine.processes(OURS)
    found = {}
    for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
        found.setdefault((thread / "comm").read_text().strip(), set()).add(
            os.getpriority(os.PRIO_PROCESS, int(thread.name)))
    return found


@pytest.mark.parametrize("before, main, worker", [
    ([], -3, -8),
    (["nice", "-n", "7"], 4, -1),
    (["setpriv", "--bounding-set", "-sys_nice", "--inh-caps", "-sys_nice"], 5, 0),
], ids=["allowed", "started-nicer", "not-allowed"])
def test_packet_threads_get_priority_if_permitted(machine, before, main, worker):
    assert start(machine, "wg0", before=before).returncode == 0
    wait_until(lambda: niceness(machine) == {"swireguard-go": {main}, "worker": {worker}},
               "the threads have their nice values", within=10)


def test_the_longest_name_works(machine):
    with Daemon(machine, name="abcdefghijklmno") as daemon:
        assert daemon.show().peers == {}


def test_unusual_names_that_linux_accepts_work(machine):
    for name in ("0", "wg.0", "wg_0-a", "wg+0=a", "Ä"):
        with Daemon(machine, name=name) as daemon:
            assert "errno=0" in daemon.ask("get=1\n\n")


# Refusing.

BAD_NAMES = {"empty": "", "16 bytes": "abcdefghijklmnop", "dot": ".", "dots": "..",
             "slash": "a/b", "colon": "a:b", "percent": "a%b", "format": "wg%d", "space": "a b",
             "tab": "a\tb", "newline": "a\nb", "climbing": "../x", "8 letters in 16 bytes": "ä" * 8}


@pytest.mark.parametrize("flags", [[], ["-f"]], ids=["daemonised", "foreground"])
@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
def test_a_name_that_linux_refuses_is_refused(machine, name, flags):
    assert_refused(machine, start(machine, *flags, name), "usage", one_line=False)
    assert links(machine) == ["lo"] and sockets(machine) == []


@pytest.mark.parametrize("arguments", [
    [], ["-f"], ["--unknown", "wg0"], ["-x", "wg0"], ["wg0", "wg1"], ["-f", "wg0", "extra"],
    ["--foreground=yes", "wg0"],
], ids=lambda arguments: " ".join(arguments) or "nothing")
def test_invalid_arguments_are_refused(machine, arguments):
    assert_refused(machine, start(machine, *arguments), "usage", one_line=False)
    assert links(machine) == ["lo"] and sockets(machine) == []


@pytest.mark.parametrize("flags", [[], ["-f"]], ids=["daemonised", "foreground"])
def test_without_the_capability_it_is_refused(machine, flags):
    before = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"]
    result = start(machine, *flags, "wg0", before=before)
    assert_refused(machine, result, "CAP_NET_ADMIN")
    assert links(machine) == ["lo"] and sockets(machine) == []


def let_everybody_have(machine):
    """A daemon that every user can execute, and a TUN device that every user can open."""
    pathlib.Path(machine.path("/run/swireguard-go")).write_bytes(pathlib.Path(OURS).read_bytes())
    os.chmod(machine.path("/run/swireguard-go"), 0o755)
    machine.run("sh", "-c", "mount -t tmpfs tmpfs /dev/net && mknod -m 666 /dev/net/tun c 10 200")


def test_as_an_ordinary_user_it_is_refused(machine):
    let_everybody_have(machine)
    before = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
              "--bounding-set", "-all"]
    result = machine.attempt(*before, "env", "-u", "LOG_LEVEL", "/run/swireguard-go", "-f", "wg0",
                             leaves_processes=True)
    assert_refused(machine, result, "CAP_NET_ADMIN")
    assert links(machine) == ["lo"] and sockets(machine) == []


def test_with_the_capability_but_not_root_it_names_the_owner_the_directory_needs(machine):
    let_everybody_have(machine)
    before = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
              "--inh-caps", "+net_admin", "--ambient-caps", "+net_admin"]
    result = machine.attempt(*before, "env", "-u", "LOG_LEVEL", "/run/swireguard-go", "-f", "wg0",
                             leaves_processes=True)
    assert_refused(machine, result, "/run/wireguard")
    assert links(machine) == ["lo"] and sockets(machine) == []


@pytest.mark.parametrize("flags", [[], ["-f"]], ids=["daemonised", "foreground"])
def test_without_the_tun_device_it_is_refused(machine, flags):
    machine.run("mount", "-t", "tmpfs", "tmpfs", "/dev/net")
    assert_refused(machine, start(machine, *flags, "wg0"), "/dev/net/tun")
    assert links(machine) == ["lo"] and sockets(machine) == []


@pytest.mark.parametrize("kind", ["veth peer name wg1", "bridge"])
def test_the_name_of_another_kind_of_link_is_refused(machine, kind):
    machine.run("ip", "link", "add", "wg0", "type", *kind.split())
    before = links(machine)
    assert_refused(machine, start(machine, "wg0"), "wg0")
    assert links(machine) == before and sockets(machine) == []


@pytest.mark.parametrize("flags", [[], ["-f"]], ids=["daemonised", "foreground"])
def test_the_name_of_a_live_daemon_is_refused(machine, flags):
    with Daemon(machine) as first:
        first.wg("set", "listen-port", "4321")
        result = start(machine, *flags, "wg0")
        assert result.returncode != 0 and "in use" in result.stderr, result
        assert len(result.stderr.strip().splitlines()) == 1
        assert machine.processes(OURS) == [first.pid]
        assert first.show().listen_port == 4321
        assert sockets(machine) == ["wg0.sock"]


def test_the_name_of_a_live_daemon_in_another_namespace_is_refused(machine):
    """All network namespaces share the socket's path; the first daemon keeps it."""
    with Daemon(machine) as first:
        first.wg("set", "listen-port", "4321")
        result = start(machine, "-f", "wg0", before=["unshare", "--net"])
        assert result.returncode != 0 and "in use" in result.stderr, result
        assert first.show().listen_port == 4321


@pytest.mark.parametrize("flags", [[], ["-f"]], ids=["daemonised", "foreground"])
def test_a_stale_socket_file_is_replaced(machine, flags):
    first = machine.popen(OURS, "-f", "wg0", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: os.path.exists(machine.path(SOCKET)), "the first listens")
    first.kill()
    first.wait(5)
    assert os.path.exists(machine.path(SOCKET))
    wait_until(lambda: not machine.has_link("wg0"), "the link is deleted")
    if flags:
        with Daemon(machine) as second:
            assert second.show().peers == {}
    else:
        assert start(machine, "wg0").returncode == 0
        assert "interface: wg0" in machine.run("wg", "show", "wg0")


def test_a_file_that_is_not_a_socket_is_not_replaced(machine):
    """A directory at the socket's path causes an error and is kept."""
    os.makedirs(machine.path(SOCKET))
    assert_refused(machine, start(machine, "wg0"), SOCKET.rpartition("/")[2])
    assert links(machine) == ["lo"] and sockets(machine) == ["wg0.sock"]


# Exit.

@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(machine, number):
    with Daemon(machine) as daemon:
        daemon.stop(with_signal=number, within=10)
    assert links(machine) == ["lo"] and sockets(machine) == []


def test_deleting_its_link_ends_it(machine):
    with Daemon(machine) as daemon:
        machine.ip("link set wg0 up")
        machine.ip("link del wg0")
        daemon.assert_ends_cleanly(within=10)


def test_deleting_its_socket_ends_it(machine):
    with Daemon(machine) as daemon:
        os.unlink(daemon.socket_path)
        daemon.assert_ends_cleanly(within=10)


def test_many_starts_and_ends_leave_nothing(machine):
    for number in range(15):
        with Daemon(machine):
            if number % 2:
                machine.ip("link set wg0 up")
    assert links(machine) == ["lo"] and sockets(machine) == []
