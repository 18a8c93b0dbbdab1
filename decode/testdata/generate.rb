class Cart
  def initialize
    @items = %w[x y]
    @self = self
  end
end
Money = Struct.new(:amount, :currency)
class Secret
  def marshal_dump = [1, 2]
  def marshal_load(x) = nil
end
class Old
  def _dump(_level) = 'old'
  def self._load(x) = new
end

shared = ['shared']
value = {
  'user' => 'Grüße', :symbol => :value, 'id' => 42, 'negative' => -7, 'byte' => -129, 'word' => 70_000,
  'neg' => -70_000, 'big' => 2**70, 'huge' => -(2**65), 'pi' => 3.25, 'inf' => -Float::INFINITY,
  'yes' => true, 'no' => false, 'nothing' => nil, 'list' => [1, 2, [3]], 'map' => { 5 => 'five' },
  'bytes' => "\xff\x00".b, 'cart' => Cart.new, 'money' => Money.new(5, 'EUR'), 'secret' => Secret.new,
  'old' => Old.new, 'regexp' => /a+b/i, 'class' => String, 'a' => shared, 'b' => shared,
  'default' => Hash.new(3).merge('k' => :symbol), 'latin' => 'é'.encode('ISO-8859-1')
}
File.binwrite('marshal.bin', Marshal.dump(value))
File.binwrite('marshal_session.bin', Marshal.dump({ 'session_id' => 'abc', '_csrf_token' => 'x', 'user_id' => 7 }))
