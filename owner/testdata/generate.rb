# Writes a session of Rails with Devise as Warden's own serializer stores it.
require 'warden'
require 'devise'
require 'active_support'

user = Struct.new(:id, :encrypted_password).new(4711, '$2a$12$abcdefghijklmnopqrstuv')
env = { 'rack.session' => { 'session_id' => '0f' * 16, '_csrf_token' => 'abc=', 'flash' => { 'discard' => [], 'flashes' => {} } } }
serializer = Warden::SessionSerializer.new(env)
# What Devise's Authenticatable.serialize_into_session returns: the record's to_key, and its salt.
serializer.define_singleton_method(:user_serialize) { |u| [[u.id], u.encrypted_password[0, 29]] }
serializer.store(user, :user)
File.binwrite('rails_devise_marshal.bin', Marshal.dump(env['rack.session']))
File.binwrite('rails_devise_bignum_marshal.bin', Marshal.dump('warden.user.user.key' => [[2**40], 'x']))
