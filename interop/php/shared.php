<?php
// What requests do to one session, one after the other or at the same time:
//   do=count  adds one and answers the number; with ms, only after so long
//   do=hold   says "begun", waits until the file named by gate is there, and adds one
//   do=login  begins a new session under the present id, whatever there was
//   do=logout destroys the session
ini_set('session.use_strict_mode', '0');
ini_set('session.lazy_write', '0');
if (!session_start()) {
	http_response_code(500);
	exit('no session');
}
switch ($_GET['do'] ?? 'count') {
case 'hold':
	header('X-Accel-Buffering: no');
	echo "begun\n";
	flush();
	for ($n = 0; $n < 3000 && !file_exists($_GET['gate']); $n++) {
		usleep(10000);
		clearstatcache();
	}
	break;
case 'logout':
	$_SESSION = [];
	session_destroy();
	exit('bye');
case 'login':
	session_destroy();
	session_start();
	break;
}
usleep(1000 * (int)($_GET['ms'] ?? 0));
$_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1;
session_write_close();
echo $_SESSION['n'];
