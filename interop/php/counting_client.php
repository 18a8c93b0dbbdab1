<?php
// Counts in items through php-memcached, over one connection, in the binary
// protocol. Argument: address of the server. Each line of standard input is a
// key; the answer is how often that key has been counted, or "error: ..." when
// anything went wrong. Nothing is tried again.
[$host, $port] = explode(':', $argv[1]);
$client = new Memcached();
$client->setOptions([
	Memcached::OPT_BINARY_PROTOCOL => true,
	Memcached::OPT_COMPRESSION => false,
	Memcached::OPT_POLL_TIMEOUT => 30000,
	Memcached::OPT_RECV_TIMEOUT => 30000000,
	Memcached::OPT_SEND_TIMEOUT => 30000000,
]);
$client->addServer($host, (int) $port);

function counted(Memcached $client, string $key): string
{
	$value = $client->get($key);
	if ($value === false && $client->getResultCode() !== Memcached::RES_NOTFOUND) {
		return 'error: get: ' . $client->getResultMessage();
	}
	$n = $value === false ? 1 : $value['n'] + 1;
	if (!$client->set($key, ['n' => $n, 'payload' => str_repeat(implode('', array_map('chr', range(0, 255))), 8)], 3600)) {
		return 'error: set: ' . $client->getResultMessage();
	}
	return (string) $n;
}

while (($line = fgets(STDIN)) !== false) {
	echo counted($client, trim($line)), "\n";
}
