<?php
class Cart { public $items = ['x', 'y']; protected $total = 9.5; private $owner = null; public $self; }
class Own implements Serializable {
    public function serialize() { return 'abc'; }
    public function unserialize($s) {}
    public function __serialize(): array { return ['k' => 'v']; }
    public function __unserialize(array $d): void {}
}
enum Suit: string { case Hearts = 'H'; }

$cart = new Cart();
$cart->self = $cart;
$shared = 5;
$value = [
    'user' => 'Grüße', 'id' => 42, 'negative' => -7, 'big' => PHP_INT_MAX, 'small' => PHP_INT_MIN,
    'pi' => 3.25, 'inf' => -INF, 'yes' => true, 'no' => false, 'nothing' => null,
    'list' => [1, 2, [3]], 'empty' => [], 'map' => [5 => 'five', 'x' => 'ex'],
    'bytes' => "\xff\x00", 'cart' => $cart, 'again' => $cart,
    'own' => new Own(), 'suit' => Suit::Hearts,
];
$value['ref1'] = &$shared;
$value['ref2'] = &$shared;

file_put_contents('php.bin', serialize($value));
file_put_contents('igbinary.bin', igbinary_serialize($value));
unset($value['suit'], $value['own'], $value['cart'], $value['again'], $value['inf']);
file_put_contents('msgpack.bin', msgpack_pack($value));

foreach (['php', 'php_binary', 'php_serialize'] as $handler) {
    ini_set('session.serialize_handler', $handler);
    ini_set('session.use_cookies', '0');
    session_id('test' . strlen($handler));
    session_save_path(sys_get_temp_dir());
    session_start();
    $_SESSION = ['user' => 'alice', 'n' => ['a' => 1, 'text' => 'with | and ; "'], 'cart' => $cart];
    file_put_contents("session_$handler.bin", session_encode());
    session_destroy();
}

$m = new Memcached();
$m->addServer('127.0.0.1', 21991);
$m->setOption(Memcached::OPT_COMPRESSION, true);
$long = ['text' => str_repeat('session data, ', 400), 'n' => 1];
foreach (['zlib' => Memcached::COMPRESSION_ZLIB, 'fastlz' => Memcached::COMPRESSION_FASTLZ] as $name => $type) {
    $m->setOption(Memcached::OPT_COMPRESSION_TYPE, $type);
    $m->setOption(Memcached::OPT_SERIALIZER, Memcached::SERIALIZER_PHP);
    $m->set($name, $long, 60);
    $s = fsockopen('127.0.0.1', 21991);
    fwrite($s, "get $name\r\n");
    [, , $flags, $size] = explode(' ', trim(fgets($s)));
    $data = '';
    while (strlen($data) < $size) { $data .= fread($s, $size - strlen($data)); }
    file_put_contents("memcached_$name.$flags.bin", $data);
}
