<?php
// What Laravel's session handler asks of its cache, on two connections. Each line is a
// step and what came of it. Argument: the server's address.
[$host, $port] = explode(':', $argv[1]);
$id = 'laravel_cache_' . str_repeat('aB3d', 10);
$cache = [];
foreach (['a', 'b'] as $name) {
	$cache[$name] = new Memcached();
	$cache[$name]->addServer($host, (int)$port);
}
foreach ([
	'a put', 'a forget', 'a get', 'a put', 'b get', // begun again under the same id
	'a forget', 'b put', 'a get',                   // b's request ran during the logout
	'b get', 'b put', 'a get',                      // the next one knows that it is gone
] as $step) {
	[$name, $verb] = explode(' ', $step);
	$answer = match ($verb) {
		'put' => $cache[$name]->set($id, $step, 900),
		'get' => $cache[$name]->get($id),
		'forget' => $cache[$name]->delete($id),
	};
	echo $step, ': ', is_bool($answer) ? ($answer ? 'yes' : 'no') : $answer, "\n";
}
