"""Logs users in and out with sessions that Flask-Session keeps.

Arguments: address to serve on, address of the server.
"""

import sys
import threading

from flask import Flask, request, session
from flask_session import Session
from pymemcache import HashClient

listen, server = sys.argv[1:]
app = Flask(__name__)
app.config.update(
    SESSION_TYPE="memcached",
    # waits for answers, so that what a request stores is there when it ends
    SESSION_MEMCACHED=HashClient([server], use_pooling=True, default_noreply=False),
)
Session(app)


@app.get("/login")
def login():
    session["_user_id"] = request.args["user"]  # as Flask-Login does
    return "welcome"


@app.get("/user")
def user():
    return session.get("_user_id", "nobody")


# Requests that last: they have their session, and store it when /release is asked
# for. /holding tells how many there are.
gates = []


@app.get("/hold")
def hold():
    gate = threading.Event()
    gates.append(gate)
    gate.wait()
    session["seen"] = True
    return user()


@app.get("/holding")
def holding():
    return str(len(gates))


@app.get("/release")
def release():
    while gates:
        gates.pop().set()
    return "released"


@app.get("/logout")
def logout():
    session.clear()
    return "bye"


host, port = listen.split(":")
app.run(host, int(port), threaded=True)
