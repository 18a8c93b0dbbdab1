# A Rails controller whose sessions are in Rails' cache, which Dalli keeps: what
# :cache_store means to an application with :mem_cache_store as its cache.
# Arguments: address to serve on, address of the server.
require "active_support"
require "active_support/core_ext"
require "active_support/cache"
require "action_controller"
require "action_dispatch"
require "action_dispatch/middleware/session/cache_store"
require "rack/handler/webrick"

listen, server = ARGV

# Requests that last. Rails may look whether the session is still there before it
# stores it, so they are held between the two.
module Held
  @gates = Queue.new

  def self.count = @gates.size

  def self.release
    @gates.pop << true until @gates.empty?
  end

  def self.start(_name, _id, _payload)
    return unless Thread.current[:held]
    Thread.current[:held] = false
    gate = Queue.new
    @gates << gate
    gate.pop
  end

  def self.finish(_name, _id, _payload); end
end
ActiveSupport::Notifications.subscribe("cache_write.active_support", Held)

class LoginController < ActionController::Base
  # What Devise keeps: the user's class, id and a part of the password's hash.
  def login
    reset_session
    session["warden.user.user.key"] = [[params[:user].to_i], "$2a$12$abcdefghijklmnopqrstuv"]
    render plain: "welcome"
  end

  def logout
    reset_session
    render plain: "bye"
  end

  def user
    key = session["warden.user.user.key"]
    render plain: key ? key[0][0].to_s : "nobody"
  end

  def hold
    session["seen"] = true
    Thread.current[:held] = true
    user
  end

  def holding = render(plain: Held.count.to_s)

  def release
    Held.release
    render plain: "released"
  end
end

app = Rack::Builder.new do
  use ActionDispatch::Cookies
  use ActionDispatch::Session::CacheStore,
      cache: ActiveSupport::Cache::MemCacheStore.new(server, socket_timeout: 60), key: "_app_session", expire_after: 3600
  %w[login logout user hold holding release].each do |action|
    map("/#{action}") { run LoginController.action(action) }
  end
end

host, port = listen.split(":")
Rack::Handler::WEBrick.run(app, Host: host, Port: Integer(port), AccessLog: [],
                                Logger: WEBrick::Log.new($stderr, WEBrick::Log::WARN))
