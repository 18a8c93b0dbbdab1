"""A pylibmc (libmemcached) client that answers commands on standard input.

Arguments: address of the server, text or binary.

    set KEY SECONDS N   stores a session of N bytes: stored, or an error
    get KEY             the length of a session, or absent; damaged if so
    cas KEY             reads with gets and swaps in a session one byte longer
    touch KEY SECONDS   touched or absent
    delete KEY          deleted or absent
"""
import sys

import pylibmc


def body(n):
    return bytes(i % 251 for i in range(n))


def get(client, key):
    value = client.get(key)
    if value is None:
        return "absent"
    return str(len(value)) if value == body(len(value)) else "damaged"


def cas(client, key):
    value, version = client.gets(key)
    return "stored" if client.cas(key, body(len(value) + 1), version) else "exists"


def answer(client, command, key, *arguments):
    if command == "set":
        seconds, n = map(int, arguments)
        return "stored" if client.set(key, body(n), time=seconds) else "not stored"
    if command == "touch":
        return "touched" if client.touch(key, int(arguments[0])) else "absent"
    if command == "delete":
        return "deleted" if client.delete(key) else "absent"
    return {"get": get, "cas": cas}[command](client, key)


server, protocol = sys.argv[1:]
client = pylibmc.Client([server], binary=protocol == "binary",
                        behaviors={"cas": True, "tcp_nodelay": True, "retry_timeout": 1})
for line in sys.stdin:
    try:
        print(answer(client, *line.split()), flush=True)
    except pylibmc.Error as error:
        print("error:", repr(error), flush=True)
