"""Loads for a tunnel: iperf3 from alice to bob, and ping beside it."""

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
GRACE = 20  # seconds that a command may take beyond its own time


@contextlib.contextmanager
def server(tunnel):
    """An iperf3 on bob, for one test."""
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
    # (A network namespace of one's own may not choose among all of them, a socket may.)
    if "--udp" not in options:
        options = [*options, "--congestion", tunnel.congestion_control]
    return ["iperf3", "--client", tunnel.address, "--port", PORT, "--json", "--interval", 0,
            "--time", seconds, *options]


def run(tunnel, seconds, *options):
    """iperf3 for so many seconds; what it says about the whole of it."""
    with server(tunnel):
        # In the machine's PID namespace, so that it dies with the machine.
        result = tunnel.alice.attempt(*command(tunnel, seconds, options),
                                      timeout=seconds + GRACE, leaves_processes=True)
    return the_end(result.stdout)


def the_end(output):
    try:
        answer = json.loads(output)
    except ValueError:
        raise Failure(f"iperf3 says no JSON but {output[-200:]!r}") from None
    if "error" in answer:
        raise Failure(f"iperf3: {answer['error']}")
    return answer["end"]


@contextlib.contextmanager
def beside(tunnel, seconds, *options):
    """iperf3 while the body runs, which has to be done within the seconds."""
    with server(tunnel):
        client = tunnel.alice.popen(*command(tunnel, seconds, options), stdout=subprocess.PIPE)
        try:
            time.sleep(0.5)
            yield
            ended = client.poll() is not None
            the_end(client.communicate(timeout=seconds + GRACE)[0])
            if ended:
                raise Failure("iperf3 ended before what was to be measured beside it")
        finally:
            client.kill()
            client.wait()


def tcp(tunnel, seconds, *options):
    """Gbit/s that were received."""
    return run(tunnel, seconds, *options)["sum_received"]["bits_per_second"] / 1e9


def udp(tunnel, seconds, *options):
    """Datagrams received a second, and lost in per cent, as the far end counted them."""
    total = run(tunnel, seconds, "--udp", *options)["sum"]
    return (total["packets"] - total["lost_packets"]) / total["seconds"], total["lost_percent"]


def round_trip(tunnel, seconds, interval=0.01):
    """The median of the round trips of pings in ms."""
    count = max(int(seconds / interval), 10)
    output = tunnel.alice.run("ping", "-n", "-i", interval, "-c", count, "-W", 2, tunnel.address,
                              timeout=seconds + GRACE)
    times = [float(time) for time in re.findall(r"time=([0-9.]+) ms", output)]
    if len(times) < count / 2:
        raise Failure(f"of {count} pings only {len(times)} were answered")
    return statistics.median(times)


@contextlib.contextmanager
def flood(tunnel, kind):
    """Initiations that nobody made, from alice's machine while the body runs.

    kind: right-mac1 and wrong-mac1 go to bob's daemon; discarded ones cost the same to send, and find a
    port of bob's that nobody reads.
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
                raise Failure("the flood ended before its time")
        finally:
            process.kill()
            process.wait()
