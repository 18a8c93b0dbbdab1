// Counts a visitor's requests in an Express session.
// Arguments: address to serve on, address of the server, time to live in
// seconds, connect-memcached or memjs, and optionally user and password.
const express = require("express");
const session = require("express-session");

const [listen, server, ttl, client, username, password] = process.argv.slice(2);

function store() {
  if (client === "memjs") {
    const MemjsStore = require("./memjs_store");
    return new MemjsStore(server, Number(ttl), username ? { username, password } : {});
  }
  const MemcachedStore = require("connect-memcached")(session);
  return new MemcachedStore({ hosts: [server] });
}

const app = express();
app.use(session({
  secret: "only for this test",
  resave: false,
  saveUninitialized: false,
  rolling: true,
  cookie: { maxAge: Number(ttl) * 1000 },
  store: store(),
}));

const payload = String.fromCharCode(...Array(0x2ff).keys());

app.get("/", (request, response) => {
  const n = (request.session.n || 0) + 1;
  if (n > 1 && request.session.payload !== payload) return response.send("payload damaged");
  request.session.n = n;
  request.session.payload = payload;
  response.send(String(n));
});

// A request that lasts: it has its session, and stores it when /release is asked
// for. /holding tells how many there are.
const holding = [];
app.get("/hold", (request, response) => {
  holding.push(() => {
    request.session.n++;
    response.send(String(request.session.n));
  });
});
app.get("/holding", (request, response) => response.send(String(holding.length)));
app.get("/release", (request, response) => {
  holding.splice(0).forEach((end) => end());
  response.send("released");
});
app.get("/logout", (request, response) => request.session.destroy(() => response.send("bye")));

const [host, port] = listen.split(":");
app.listen(Number(port), host);
