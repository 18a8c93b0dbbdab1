"""Counts a visitor's requests in a Django session kept in the cache.

Arguments: address to serve on, address of the server, time to live in
seconds, Django cache backend. With a fifth, the file's Django settings are
executed first.
"""
import logging
import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

listen, server, ttl, backend = sys.argv[1:5]
configuration = {
    "CACHES": {"default": {"BACKEND": backend, "LOCATION": server}},
    "SESSION_ENGINE": "django.contrib.sessions.backends.cache",
    "SESSION_COOKIE_AGE": int(ttl),
}
if len(sys.argv) > 5:
    with open(sys.argv[5]) as recipe:
        exec(recipe.read(), configuration)
    configuration["SESSION_COOKIE_AGE"] = int(ttl)
configuration = {k: v for k, v in configuration.items() if k.isupper()}

settings.configure(
    DEBUG=False,
    SECRET_KEY="only for this test",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    **configuration,
)


def count(request):
    payload = "".join(map(chr, range(0x20, 0x2FF)))
    n = request.session.get("n", 0) + 1
    if n > 1 and request.session["payload"] != payload:
        return HttpResponse("payload damaged")
    request.session["n"] = n
    request.session["payload"] = payload
    return HttpResponse(str(n))


urlpatterns = [path("", count)]


class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


django.setup()
logging.getLogger("django.request").setLevel(logging.CRITICAL)
host, port = listen.rsplit(":", 1)
make_server(host, int(port), get_wsgi_application(), handler_class=Quiet).serve_forever()
