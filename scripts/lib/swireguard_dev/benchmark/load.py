"""Traffic for a tunnel: iperf3 and ping from alice to bob, and floods."""

import contextlib
import json
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import time

from swireguard_dev.benchmark.failure import Failure

PORT = 5201
LISTENING = "0A"
GRACE = 20  # seconds until a command is stopped, beyond its own duration


@contextlib.contextmanager
def server(tunnel):
    """An iperf3 server on bob, for one test."""
    process = tunnel.bob.popen("iperf3", "--server", "--one-off", "--bind", tunnel.address,
                               "--port", PORT, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 5
        while not listens(process.pid):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failure("iperf3 --server does not start")
            time.sleep(0.01)
        yield
    finally:
        process.kill()
        process.wait()


def listens(pid):
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
            _, local, _, state = line.split()[:4]
            if state == LISTENING and local.endswith(f":{PORT:04X}"):
                return True
    return False


def command(tunnel, seconds, options):
    # A socket may choose any congestion control; a network namespace may not.
    if "--udp" not in options:
        options = [*options, "--congestion", tunnel.congestion_control]
    return ["iperf3", "--client", tunnel.address, "--port", PORT, "--json", "--interval", 0,
            "--time", seconds, *options]


def run(tunnel, seconds, *options):
    """Runs iperf3 for `seconds`; returns the summary of its report."""
    with server(tunnel):
        # In the machine's PID namespace, so that it ends with the machine.
        result = tunnel.alice.attempt(*command(tunnel, seconds, options),
                                      timeout=seconds + GRACE, leaves_processes=True)
    return summary(result.stdout)


def summary(output):
    try:
        answer = json.loads(output)
    except ValueError:
        raise Failure(f"iperf3 printed no JSON: {output[-200:]!r}") from None
    if "error" in answer:
        raise Failure(f"iperf3: {answer['error']}")
    return answer["end"]


@contextlib.contextmanager
def beside(tunnel, seconds, *options):
    """Runs iperf3 for `seconds` while the body executes. The body must end earlier."""
    with server(tunnel):
        client = tunnel.alice.popen(*command(tunnel, seconds, options), stdout=subprocess.PIPE)
        try:
            time.sleep(0.5)
            yield
            ended = client.poll() is not None
            summary(client.communicate(timeout=seconds + GRACE)[0])
            if ended:
                raise Failure("iperf3 ended before the measurement beside it")
        finally:
            client.kill()
            client.wait()


def tcp(tunnel, seconds, *options):
    """Received Gbit/s."""
    return run(tunnel, seconds, *options)["sum_received"]["bits_per_second"] / 1e9


def udp(tunnel, seconds, *options):
    """Received datagrams per second, and lost datagrams in percent, as counted by the receiver."""
    total = run(tunnel, seconds, "--udp", *options)["sum"]
    return (total["packets"] - total["lost_packets"]) / total["seconds"], total["lost_percent"]


def round_trip(tunnel, seconds, interval=0.01):
    """The median round trip of pings, in ms."""
    count = max(int(seconds / interval), 10)
    output = tunnel.alice.run("ping", "-n", "-i", interval, "-c", count, "-W", 2, tunnel.address,
                              timeout=seconds + GRACE)
    times = [float(time) for time in re.findall(r"time=([0-9.]+) ms", output)]
    if len(times) < count / 2:
        raise Failure(f"only {len(times)} of {count} pings were answered")
    return statistics.median(times)


@contextlib.contextmanager
def flood(tunnel, kind):
    """Sends initiations from unknown peers, from alice to bob, while the body executes.

    kind: right-mac1 and wrong-mac1 go to bob's daemon; discarded goes to a socket that is never read, to
    measure the cost of sending.
    """
    with tunnel.bob.entered():
        drain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with drain:
        drain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
        drain.bind((tunnel.outer, 0))
        port, key = tunnel.port, ""
        if kind == "discarded":
            port = drain.getsockname()[1]
            kind = "wrong-mac1"
        if kind == "right-mac1":
            key = tunnel.public_keys[1].hex()
        process = tunnel.alice.popen(
            sys.executable, "-m", "swireguard_dev.benchmark.flood", tunnel.outer, port, kind,
            key)
        try:
            time.sleep(0.5)
            yield
            if process.poll() is not None:
                raise Failure("the flood ended early")
        finally:
            process.kill()
            process.wait()
