"""A program that prints the median start time of a daemon, in seconds.

Arguments: COUNT PROGRAM INTERFACE. The time is from the call that starts the program to its first complete
answer on the configuration socket. Start this program on the daemon's machine, so that the time includes
nothing else.
"""

import contextlib
import os
import signal
import socket
import statistics
import sys
import time


def answers(path):
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        client.sendall(b"get=1\n\n")
        return client.recv(65536).endswith(b"errno=0\n\n")
    return False


def start(program, interface):
    path = f"/run/wireguard/{interface}.sock"
    begun = time.monotonic()
    process = os.posix_spawn(
        program, [program, "-f", interface], {**os.environ, "LOG_LEVEL": "error", "WG_SUDO": "1"})
    while not answers(path):
        if time.monotonic() > begun + 10 or os.waitpid(process, os.WNOHANG)[0]:
            sys.exit(f"{program} does not start")
        time.sleep(0.0002)
    elapsed = time.monotonic() - begun
    os.kill(process, signal.SIGTERM)
    os.waitpid(process, 0)
    # Some daemons do not delete their socket.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    return elapsed


def main(count, program, interface):
    print(statistics.median(start(program, interface) for _ in range(int(count))))


if __name__ == "__main__":
    main(*sys.argv[1:])
