"""flood.py ADDRESS PORT KIND [PUBLIC_KEY]: initiations that nobody made, so many a second, until it ends.

KIND is right-mac1, for which PUBLIC_KEY in hexadecimal digits is the receiver's, or wrong-mac1. It runs
on the machine from which the flood is to come.
"""

import hashlib
import random
import socket
import struct
import sys
import time

RATE = 20_000  # a second: some four times what a core could answer
BURST = 20     # of them at a time, so that the clock is not all that it looks at
ZEROS = bytes(16)


def initiation(key, chance):
    """An initiation whose every field is random, but for mac1 if there is a key for it."""
    start = struct.pack("<I", 1) + chance.randbytes(112)
    mac1 = chance.randbytes(16)
    if key is not None:
        mac1 = hashlib.blake2s(start, digest_size=16, key=key).digest()
    return start + mac1 + ZEROS


def main(address, port, kind, public_key=""):
    key = None
    if kind == "right-mac1":
        key = hashlib.blake2s(b"mac1----" + bytes.fromhex(public_key)).digest()
    chance = random.Random(5)
    messages = [initiation(key, chance) for _ in range(500)]
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
