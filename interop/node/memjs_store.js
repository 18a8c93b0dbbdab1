// An Express session store on memjs, which speaks the binary protocol.
const session = require("express-session");
const memjs = require("memjs");

class MemjsStore extends session.Store {
  constructor(servers, ttl, options) {
    super();
    this.ttl = ttl;
    this.client = memjs.Client.create(servers, { timeout: 10, conntimeout: 10, retries: 5, retry_delay: 0.2, failoverTime: 1, ...options });
  }

  get(id, done) {
    this.client.get(id, (error, value) => done(error, value && JSON.parse(value)));
  }

  set(id, data, done) {
    this.client.set(id, JSON.stringify(data), { expires: this.ttl }, (error) => done(error));
  }

  touch(id, data, done) {
    this.client.touch(id, this.ttl, (error) => done(error));
  }

  destroy(id, done) {
    this.client.delete(id, (error) => done(error));
  }
}

module.exports = MemjsStore;
