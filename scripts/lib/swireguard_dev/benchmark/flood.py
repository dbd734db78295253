"""A program that floods a daemon with handshake initiations from unknown peers, until it is killed.

Arguments: ADDRESS PORT KIND [PUBLIC_KEY]. KIND is wrong-mac1, or right-mac1 with the receiver's PUBLIC_KEY
in hexadecimal. Start it on the machine that sends.
"""

import random
import socket
import sys
import time

from swireguard_dev.datagrams import initiation

RATE = 20_000  # initiations a second, four times what one core could answer
BURST = 20     # initiations between two readings of the clock


def main(address, port, kind, public_key=""):
    key = None
    if kind == "right-mac1":
        key = bytes.fromhex(public_key)
    chance = random.Random(5)
    messages = [initiation(chance, key) for _ in range(500)]
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    destination = (address, int(port))
    sent, begun = 0, time.monotonic()
    while True:
        for _ in range(BURST):
            out.sendto(messages[sent % len(messages)], destination)
            sent += 1
        time.sleep(max(begun + sent / RATE - time.monotonic(), 0))


if __name__ == "__main__":
    main(*sys.argv[1:])
