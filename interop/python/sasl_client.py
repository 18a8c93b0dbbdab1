"""A python-binary-memcached client that answers commands on standard input.

Arguments: address of the server, user, password.

    set KEY SECONDS N   stores a session of N bytes: stored, or refused
    get KEY             the length of a session, or absent; damaged if so
"""
import sys

import bmemcached
from bmemcached.exceptions import AuthenticationNotSupported, InvalidCredentials, MemcachedException


def body(n):
    return bytes(i % 251 for i in range(n))


def answer(client, command, key, *arguments):
    if command == "set":
        seconds, n = map(int, arguments)
        return "stored" if client.set(key, body(n), time=seconds) else "refused"
    value = client.get(key)
    if value is None:
        return "absent"
    return str(len(value)) if value == body(len(value)) else "damaged"


client = bmemcached.Client((sys.argv[1],), sys.argv[2], sys.argv[3], socket_timeout=30)
for line in sys.stdin:
    try:
        print(answer(client, *line.split()), flush=True)
    except (AuthenticationNotSupported, InvalidCredentials, MemcachedException) as error:
        print("error:", repr(error), flush=True)
