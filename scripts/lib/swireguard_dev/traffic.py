"""Traffic between machines, checked to the last byte."""

import contextlib
import hashlib
import random
import socket
import struct
import threading
import time

from swireguard_dev import machines
from swireguard_dev.machines import wait_until

BLOCK = random.Random("contents").randbytes(1 << 20)
LARGEST_PING = {4: 20 + 8, 6: 40 + 8}  # bytes of headers: a payload of MTU minus these fills it


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def ping(machine, address, count=1, size=None, within=5, options=()):
    """Pings, and fails if an answer is missing. size: bytes of payload, never fragmented.

    One command a packet: once an answer has come, ping waits two round trips for the others and no
    longer, which on a busy machine is nothing.
    """
    within *= machines.patience
    sized = [] if size is None else ["-M", "do", "-s", size]
    for _ in range(count):
        output = machine.run("ping", "-n", "-c", 1, "-W", within, *sized, *options, address,
                             timeout=within + 20)
    return output


def flood(machine, address, count=10, within=4):
    """A flood ping: each answer arrives in time, whether `ping` still waits for it or not."""
    def answers():
        """Echo replies that the kernel has received."""
        file, name = (("snmp6", "Icmp6InEchoReplies") if ":" in address
                      else ("snmp", "InEchoReps"))
        with open(f"/proc/{machine.pid}/net/{file}") as lines:
            words = [line.split() for line in lines if line.startswith("Icmp")]
        if file == "snmp6":
            return int(dict(words)[name])
        names, values = [line for line in words if line[0] == "Icmp:"]
        return int(values[names.index(name)])

    before = answers()
    machine.run("ping", "-n", "-q", "-f", "-c", count, "-W", within, address, timeout=within + 20)
    wait_until(lambda: answers() - before >= count, f"{count} answers from {address}", within)


def assert_no_answer(machine, address):
    """Pings for a second, and fails if an answer comes. Returns what ping said."""
    result = machine.attempt("ping", "-n", "-c", 3, "-i", 0.2, "-W", 0.6, address)
    assert " 0 received" in result.stdout, result.stdout
    return result.stdout


def ping_until_answered(machine, address, within=1, size=56):
    """Pings every tenth of a second until an answer comes, and fails if that is not within seconds."""
    return machine.run("ping", "-n", "-c", 1, "-i", 0.1, "-w", within, "-s", size, address)


def full_ping(machine, address, mtu, **options):
    """Pings with packets of exactly the MTU that may not be fragmented."""
    version = 6 if ":" in address else 4
    return ping(machine, address, size=mtu - LARGEST_PING[version], **options)


def send_stream(sender, receiver, address, size, within=20.0, pace=None, port=5001):
    """Sends `size` bytes over TCP from one machine to another, and compares what arrived.

    pace: bytes a second, for a transfer that has to take a while. Returns the seconds it took.
    """
    within *= machines.patience
    with receiver.entered():
        listener = socket.create_server((address, port), family=family(address))
    with sender.entered():
        outgoing = socket.socket(family(address), socket.SOCK_STREAM)
    digests = {}

    def receive():
        with contextlib.suppress(TimeoutError):  # then there is no digest
            connection, _ = listener.accept()
            connection.settimeout(within)
            digest = hashlib.sha1()
            with connection:
                while part := connection.recv(1 << 18):
                    digest.update(part)
            digests["received"] = digest.digest()

    listener.settimeout(within)
    begun = time.monotonic()
    with listener, outgoing:
        thread = threading.Thread(target=receive, daemon=True)
        thread.start()
        outgoing.settimeout(within)
        outgoing.connect((address, port))
        digests["sent"] = write_contents(outgoing, size, pace)
        outgoing.shutdown(socket.SHUT_WR)
        thread.join(within)
    assert "received" in digests, f"the stream of {size} bytes did not arrive within {within} s"
    assert digests["received"] == digests["sent"], "the contents differ"
    return time.monotonic() - begun


def write_contents(connection, size, pace):
    digest = hashlib.sha1()
    begun, done = time.monotonic(), 0
    step = len(BLOCK) if pace is None else max(1, pace // 50)
    while done < size:
        # No two blocks alike, so that lost, doubled and swapped ones show.
        part = struct.pack("!Q", done) + BLOCK[: min(step, size - done) - 8]
        part = part[: size - done]
        connection.sendall(part)
        digest.update(part)
        done += len(part)
        if pace is not None:
            time.sleep(max(0.0, begun + done / pace - time.monotonic()))
    return digest.digest()


def exchange_datagrams(left, right, address, sizes, port=5002, within=3.0):
    """Sends datagrams to `address` on `right`, which echoes them: all come back intact."""
    within *= machines.patience
    with right.entered():
        echo = socket.socket(family(address), socket.SOCK_DGRAM)
        echo.bind((address, port))
    with left.entered():
        client = socket.socket(family(address), socket.SOCK_DGRAM)
    expected = [random.Random(f"{number} {size}").randbytes(size)
                for number, size in enumerate(sizes)]

    def serve():
        with contextlib.suppress(TimeoutError):  # then the client misses it
            for _ in expected:
                datagram, sender = echo.recvfrom(65535)
                echo.sendto(datagram, sender)

    with echo, client:
        for end in (echo, client):
            end.settimeout(within)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        client.connect((address, port))
        received = []
        for first in range(0, len(expected), 16):  # in small bursts: nothing may be dropped
            burst = expected[first:first + 16]
            for datagram in burst:
                client.send(datagram)
            received += [client.recv(65535) for _ in burst]
        thread.join(within)
    assert sorted(received) == sorted(expected), "datagrams differ"
