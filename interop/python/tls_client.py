"""A pymemcache client over TLS that answers commands on standard input.

Arguments: address of the server, PEM file of the authority to trust, and
optionally PEM files of a certificate and its key to show.

    set KEY SECONDS N   stores a session of N bytes: stored
    get KEY             the length of a session, or absent; damaged if so
"""
import ssl
import sys

from pymemcache.client.base import Client


def body(n):
    return bytes(i % 251 for i in range(n))


def answer(client, command, key, *arguments):
    if command == "set":
        seconds, n = map(int, arguments)
        return "stored" if client.set(key, body(n), expire=seconds, noreply=False) else "not stored"
    value = client.get(key)
    if value is None:
        return "absent"
    return str(len(value)) if value == body(len(value)) else "damaged"


context = ssl.create_default_context(cafile=sys.argv[2])
if len(sys.argv) > 3:
    context.load_cert_chain(sys.argv[3], sys.argv[4])
client = Client(sys.argv[1], tls_context=context, connect_timeout=10, timeout=30)
for line in sys.stdin:
    try:
        print(answer(client, *line.split()), flush=True)
    except Exception as error:
        client.close()
        print("error:", repr(error), flush=True)
