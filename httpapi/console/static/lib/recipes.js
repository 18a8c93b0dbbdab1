// How applications use the server, as the README has it; a test compares them.

export const address = "127.0.0.1:11211"; // in the texts

/** { name, file, text } */
export const recipes = [
  { name: "PHP", file: "php.ini", text: String.raw`session.save_handler = memcached
session.save_path = "127.0.0.1:11211"
; how long a session lives without a request, in seconds
session.gc_maxlifetime = 1440
; requests of one visitor at the same time wait for each other
memcached.sess_locking = 1
` },
  { name: "Django", file: "settings.py", text: String.raw`CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache",
        "LOCATION": "127.0.0.1:11211",
    }
}
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
SESSION_COOKIE_AGE = 14 * 24 * 3600
` },
  { name: "Express", file: "app.js", text: String.raw`const express = require("express");
const session = require("express-session");
const MemcachedStore = require("connect-memcached")(session);

const app = express();
app.use(session({
  secret: process.env.SESSION_SECRET,
  resave: false,
  saveUninitialized: false,
  cookie: { maxAge: 24 * 3600 * 1000 },
  store: new MemcachedStore({ hosts: ["127.0.0.1:11211"] }),
}));

app.get("/", (request, response) => {
  request.session.n = (request.session.n || 0) + 1;
  response.send(String(request.session.n));
});

app.listen(3000);
` },
  { name: "Rails", file: "config/initializers/session_store.rb", text: String.raw`Rails.application.config.session_store :mem_cache_store,
  memcache_server: "127.0.0.1:11211",
  key: "_app_session",
  expire_after: 2.hours,
  socket_timeout: 10, # seconds; Dalli's default is one
  down_retry_delay: 1
` },
  { name: "Tomcat", file: "conf/context.xml", text: String.raw`<Manager className="de.javakaffee.web.msm.MemcachedBackupSessionManager"
         memcachedNodes="127.0.0.1:11211"
         sticky="false"
         sessionBackupAsync="false"
         sessionBackupTimeout="1000"
         lockingMode="auto"/>
` },
];
