# Counts a visitor's requests in the session of a Rails controller, which
# Rails' own mem_cache_store keeps through Dalli.
# Arguments: address to serve on, address of the server, time to live in
# seconds, and optionally an initializer that configures the session store.
require "active_support"
require "active_support/core_ext"
require "action_controller"
require "action_dispatch"
require "action_dispatch/middleware/session/mem_cache_store"
require "rack/handler/webrick"

listen, server, ttl, initializer = ARGV

# Enough of Rails for the initializer to speak to.
module Rails
  Configuration = Struct.new(:store, :options) do
    def session_store(store, **options)
      self.store, self.options = store, options
    end
  end
  Application = Struct.new(:config)

  def self.application
    @application ||= Application.new(Configuration.new(:mem_cache_store, {}))
  end
end

if initializer
  load initializer
else
  # Dalli takes a server that needs more than a second, twice, for an empty session.
  Rails.application.config.session_store :mem_cache_store, memcache_server: server, key: "_counter_session",
                                                           socket_timeout: 60
end
config = Rails.application.config
raise "unexpected store #{config.store}" unless config.store == :mem_cache_store

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
  use ActionDispatch::Session::MemCacheStore, **config.options, expire_after: Integer(ttl)
  run CounterController.action(:count)
end

host, port = listen.split(":")
Rack::Handler::WEBrick.run(app, Host: host, Port: Integer(port), AccessLog: [],
                                Logger: WEBrick::Log.new($stderr, WEBrick::Log::WARN))
