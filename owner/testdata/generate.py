"""Writes sessions of Django and Flask-Login with the real libraries."""
import pickle

import django
import flask
import flask_login
import msgpack
from django.conf import settings

settings.configure(
    SECRET_KEY="a key for test data only",
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
)
django.setup()
from django.contrib.auth import get_user_model, login
from django.contrib.sessions.backends.cache import SessionStore
from django.core.cache import cache
from django.core.management import call_command
from django.test import RequestFactory

call_command("migrate", verbosity=0)
user = get_user_model().objects.create_user(id=4711, username="alice", password="x")
request = RequestFactory().get("/")
request.session = SessionStore()
request.session["cart"] = [{"sku": "A-1", "n": 2}, {"sku": "B-7", "n": 1}]
login(request, user, backend="django.contrib.auth.backends.ModelBackend")
request.session.save()
with open("django_pickle.bin", "wb") as f:
    f.write(cache._cache[cache.make_key(request.session.cache_key)])

app = flask.Flask(__name__)
app.secret_key = "a key for test data only"
manager = flask_login.LoginManager(app)


class User(flask_login.UserMixin):
    id = "4711"


manager.user_loader(lambda _: User())
with app.test_request_context("/"):
    flask.session["cart"] = ["A-1", "B-7"]
    flask_login.login_user(User())
    session = dict(flask.session)
for protocol in (0, 4):
    with open(f"flask_pickle{protocol}.bin", "wb") as f:
        f.write(pickle.dumps(session, protocol))
with open("flask_msgpack.bin", "wb") as f:
    f.write(msgpack.packb(session))
