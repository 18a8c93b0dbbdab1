# Counts a visitor's requests in the session of a Rails controller, which
# Rails' own mem_cache_store keeps through Dalli.
# Arguments: address to serve on, address of the server, time to live in
# seconds.
require "action_controller"
require "action_dispatch"
require "action_dispatch/middleware/session/mem_cache_store"
require "rack/handler/webrick"

listen, server, ttl = ARGV

class CounterController < ActionController::Base
  PAYLOAD = (0x20..0x2ff).map { |c| [c].pack("U") }.join

  def count
    n = (session[:n] || 0) + 1
    return render plain: "payload damaged" if n > 1 && session[:payload] != PAYLOAD
    session[:n] = n
    session[:payload] = PAYLOAD
    render plain: n.to_s
  end
end

app = Rack::Builder.new do
  use ActionDispatch::Cookies
  use ActionDispatch::Session::MemCacheStore,
      key: "_counter_session", memcache_server: server, expire_after: Integer(ttl)
  run CounterController.action(:count)
end

host, port = listen.split(":")
Rack::Handler::WEBrick.run(app, Host: host, Port: Integer(port), AccessLog: [],
                                Logger: WEBrick::Log.new($stderr, WEBrick::Log::WARN))
