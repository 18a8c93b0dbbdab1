<?php
// Writes sessions of Laravel and Symfony with their own libraries, from Debian.
require 'Illuminate/Session/autoload.php';
require 'Illuminate/Auth/autoload.php';
require 'Symfony/Component/Security/Core/autoload.php';

use Illuminate\Auth\GenericUser;
use Illuminate\Auth\SessionGuard;
use Illuminate\Session\ArraySessionHandler;
use Illuminate\Session\Store;
use Symfony\Component\Security\Core\Authentication\Token\UsernamePasswordToken;
use Symfony\Component\Security\Core\User\InMemoryUser;

class Provider implements Illuminate\Contracts\Auth\UserProvider {
    public function retrieveById($identifier) {}
    public function retrieveByToken($identifier, $token) {}
    public function updateRememberToken($user, $token) {}
    public function retrieveByCredentials(array $credentials) {}
    public function validateCredentials($user, array $credentials) {}
}

$handler = new ArraySessionHandler(120);
$store = new Store('laravel', $handler, str_repeat('a', 40));
$store->start();
$store->put('cart', [['sku' => 'A-1', 'n' => 2]]);
(new SessionGuard('web', new Provider(), $store))->login(new GenericUser(['id' => 4711, 'remember_token' => '']));
$store->save();
file_put_contents('laravel_php.bin', $handler->read($store->getId()));
file_put_contents('laravel_cache_php.bin', serialize($handler->read($store->getId())));

$user = new InMemoryUser('alice@example.org', 'x', ['ROLE_USER']);
$token = (new ReflectionMethod(UsernamePasswordToken::class, '__construct'))->getNumberOfParameters() > 3
    ? new UsernamePasswordToken($user, 'main', ['ROLE_USER'], [])
    : new UsernamePasswordToken($user, 'main', ['ROLE_USER']);
$_SESSION = null;
ini_set('session.use_cookies', '0');
session_save_path(sys_get_temp_dir());
session_start();
$_SESSION = [
    '_sf2_attributes' => ['_security.last_username' => 'alice', 'cart' => ['A-1'], '_security_main' => serialize($token)],
    '_sf2_meta' => ['u' => 1800000000, 'c' => 1800000000, 'l' => 0],
];
file_put_contents('symfony_php.bin', session_encode());
session_destroy();

session_start();
$_SESSION = ['user' => ['id' => 4711, 'name' => 'alice'], 'user_id' => 4711, 'cart' => ['A-1']];
file_put_contents('plain_php.bin', session_encode());
session_destroy();
