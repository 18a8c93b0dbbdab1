<?php
// Counts a visitor's requests in the session, beside a payload of every byte.
session_start();
$payload = implode('', array_map('chr', range(0, 255)));
$n = ($_SESSION['n'] ?? 0) + 1;
if ($n > 1 && $_SESSION['payload'] !== $payload) {
	http_response_code(200);
	exit('payload damaged');
}
$_SESSION['n'] = $n;
$_SESSION['payload'] = $payload;
session_write_close();
echo $n;
