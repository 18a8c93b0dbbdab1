# Counts a visitor's requests in a Rack session that Dalli keeps.
# Arguments: address to serve on, address of the server, time to live in
# seconds, and optionally user and password for SASL.
require "rack"
require "rack/session/dalli"
require "rack/handler/webrick"

listen, server, ttl, user, password = ARGV
# Dalli takes a server that needs more than a second, twice, for an empty session.
options = { memcache_server: server, expire_after: Integer(ttl), socket_timeout: 60 }
options.merge!(username: user, password: password) if user

payload = (0x20..0x2ff).map { |c| [c].pack("U") }.join

count = lambda do |env|
  session = env["rack.session"]
  n = (session["n"] || 0) + 1
  damaged = n > 1 && session["payload"] != payload
  session["n"] = n
  session["payload"] = payload
  [200, { "Content-Type" => "text/plain" }, [damaged ? "payload damaged" : n.to_s]]
end

app = Rack::Builder.new do
  use Rack::Session::Dalli, options
  run count
end

host, port = listen.split(":")
Rack::Handler::WEBrick.run(app, Host: host, Port: Integer(port), AccessLog: [],
                                Logger: WEBrick::Log.new($stderr, WEBrick::Log::WARN))
