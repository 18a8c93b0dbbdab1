"""Counts in items through pymemcache, over one connection.

Argument: address of the server. Each line of standard input is a key; the
answer is how often that key has been counted, or "error: ..." when anything
went wrong. Nothing is tried again.
"""
import sys

from pymemcache.client.base import Client

client = Client(sys.argv[1], connect_timeout=10, timeout=30)


def count(key):
    value = client.get(key, b"0")
    n = int(value.split(b" ")[0]) + 1
    if not client.set(key, b"%d " % n + bytes(range(256)) * 8, expire=3600, noreply=False):
        return "error: not stored"
    return n


for line in sys.stdin:
    try:
        print(count(line.strip()), flush=True)
    except Exception as error:
        print("error: %r" % error, flush=True)
