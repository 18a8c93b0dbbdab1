"""Writes sessions through pymemcache, or reads them back.

Arguments: write or verify, address of the server, number of sessions, size of
each in bytes. Writing prints the number of every session whose set was
answered with STORED, and goes on after a lost connection. Verifying reads
numbers from standard input and prints those whose bytes are not what was
written.
"""
import hashlib
import sys
import time

from pymemcache.client.base import Client
from pymemcache.exceptions import MemcacheUnexpectedCloseError


def key(i):
    return "session:%d" % i


def value(i, size):
    return hashlib.shake_256(key(i).encode()).digest(size)


def write(client, count, size):
    for i in range(count):
        while not stored(client, i, size):
            time.sleep(0.01)
        print(i, flush=True)


def stored(client, i, size):
    try:
        return client.set(key(i), value(i, size), expire=3600, noreply=False)
    except (OSError, MemcacheUnexpectedCloseError) as error:
        print("set", i, repr(error), file=sys.stderr)
        client.close()
        return False


def verify(client, size):
    for line in sys.stdin:
        i = int(line)
        if client.get(key(i)) != value(i, size):
            print(i)


mode, server, count, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
client = Client(server, connect_timeout=10, timeout=30)
if mode == "write":
    write(client, count, size)
else:
    verify(client, size)
