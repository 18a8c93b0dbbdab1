<?php
// Counts a visitor's requests in a session of Laravel's own SessionManager and
// StartSession, with its cache's memcached driver. do=logout invalidates the session, as
// Laravel's guards do. From the environment: MEMCACHED_HOST, MEMCACHED_PORT,
// SESSION_LIFETIME in minutes, as in a .env file.
foreach (['Cache', 'Config', 'Container', 'Http', 'Session'] as $part) {
	require_once "Illuminate/$part/autoload.php";
}

use Illuminate\Cache\CacheManager;
use Illuminate\Cache\MemcachedConnector;
use Illuminate\Config\Repository;
use Illuminate\Container\Container;
use Illuminate\Http\Request;
use Illuminate\Http\Response;
use Illuminate\Session\Middleware\StartSession;
use Illuminate\Session\SessionManager;
use Illuminate\Support\Facades\Date;
use Illuminate\Support\Facades\Facade;

// The parts of a new application's config/session.php and config/cache.php that count.
$app = new Container();
Container::setInstance($app);
Facade::setFacadeApplication($app);
$app->instance('config', new Repository([
	'session' => [
		'driver' => 'memcached', 'store' => null, 'lifetime' => (float)getenv('SESSION_LIFETIME'),
		'expire_on_close' => false, 'encrypt' => false, 'lottery' => [2, 100], 'cookie' => 'laravel_session',
		'path' => '/', 'domain' => null, 'secure' => false, 'http_only' => true, 'same_site' => 'lax',
	],
	'cache' => [
		'default' => 'memcached', 'prefix' => 'laravel_cache',
		'stores' => ['memcached' => ['driver' => 'memcached', 'persistent_id' => null, 'options' => [], 'servers' => [
			['host' => getenv('MEMCACHED_HOST'), 'port' => (int)getenv('MEMCACHED_PORT'), 'weight' => 100],
		]]],
	],
]));
$app->singleton('memcached.connector', fn () => new MemcachedConnector());
$app->singleton('cache', fn ($app) => new CacheManager($app));

$sessions = new SessionManager($app);
$answer = (new StartSession($sessions, fn () => $app['cache']))->handle(Request::capture(), function (Request $request) {
	$session = $request->session();
	if ($request->query('do') === 'logout') {
		$session->invalidate();
		return new Response('bye');
	}
	$session->put('n', $session->get('n', 0) + 1);
	return new Response((string)$session->get('n'));
});
$answer->send();
