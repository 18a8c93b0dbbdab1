import collections
import datetime
import decimal
import pickle
import sys
import uuid

import django.conf

django.conf.settings.configure(SECRET_KEY="a key for test data only")
from django.core import signing


class Cart:
    def __init__(self):
        self.items = ["x", "y"]
        self.owner = self


class Point:
    __slots__ = ["x", "y"]


point = Point()
point.x, point.y = 1, 2
shared = ["shared"]
value = {
    "user": "Gr\u00fc\u00dfe \U0001f600", "id": 42, "negative": -7, "big": 2**70, "huge": -(2**65),
    "medium": 70000, "long": 2**40, "pi": 3.25, "yes": True, "no": False, "nothing": None,
    "list": [1, 2, [3]], "tuple": (1,), "tuple4": (1, 2, 3, 4), "map": {5: "five", "x": "ex"},
    "pairs": {(1, 2): "tuple key"}, "set": {9}, "frozen": frozenset([8]), "bytes": b"\xff\x00",
    "when": datetime.datetime(2026, 11, 5, 12, 30, 15, 250), "price": decimal.Decimal("9.90"),
    "cart": Cart(), "point": point, "a": shared, "b": shared,
    "ordered": collections.OrderedDict(k="v"), "uuid": uuid.UUID(int=7), "array": bytearray(b"ab"),
}
sys.modules["app"] = sys.modules["__main__"]
Cart.__module__ = "app"
for protocol in range(6):
    if protocol < 2:
        value.pop("point", None)
    else:
        value["point"] = point
    with open(f"pickle{protocol}.bin", "wb") as f:
        f.write(pickle.dumps(value, protocol))

session = {"_auth_user_id": "7", "_auth_user_hash": "0f" * 20, "cart": list(range(40)), "lang": "de"}
with open("django_signed.bin", "w") as f:
    f.write(signing.dumps({"_auth_user_id": "7"}, salt="django.contrib.sessions.SessionStore"))
with open("django_signed_compressed.bin", "w") as f:
    f.write(signing.dumps(session, salt="django.contrib.sessions.SessionStore", compress=True))
