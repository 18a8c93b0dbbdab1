#!/bin/bash
# Installs, upgrades and removes the packages cairn_1.* in /cairn-test on a
# machine with systemd.
set -euo pipefail
cd /cairn-test

step() { printf '\n--- %s\n' "$1"; }

fail() {
	printf 'FAILED: %s\n' "$1"
	systemctl status cairn.service || true
	journalctl --no-pager --unit=cairn.service || true
	exit 1
}
trap 'fail "line $LINENO: $BASH_COMMAND"' ERR

main_pid() { systemctl show --property=MainPID --value cairn.service; }

# connect opens a client's connection as descriptor 3.
connect() { exec 3<>/dev/tcp/127.0.0.1/11211; }

# ask LINES ANSWER - sends lines on the connection and compares the answer.
ask() {
	local line answer=
	printf '%b' "$1" >&3
	while IFS= read -r -t 20 line <&3; do
		answer+=${line%$'\r'}' '
		case $line in STORED* | END* | DELETED* | NOT_FOUND*) break ;; esac
	done
	[ "$answer" = "$2 " ] || fail "asked $1, got '$answer', want '$2'"
}

# await COMMAND... - repeats a command until it succeeds, 20 s at most.
await() {
	local n
	for n in $(seq 200); do
		if "$@" >/dev/null 2>&1; then return; fi
		sleep 0.1
	done
	fail "never: $*"
}

running_version() {
	exec 4<>/dev/tcp/127.0.0.1/8211
	printf 'GET /v1/server HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&4
	sed -n 's/.*"version":"\([^"]*\)".*/\1/p' <&4
	exec 4>&-
}

step 'install'
dpkg -i cairn_1.0.0_*.deb
systemctl is-active cairn.service
systemctl is-enabled cairn.service
[ "$(stat -c '%U %a' /var/lib/cairn)" = 'cairn 700' ]
[ "$(running_version)" = 1.0.0 ]
connect
ask 'set first 0 3600 5\r\nhello\r\n' 'STORED'

step 'the benchmark is a package of its own'
{ cairn bench 2>&1 || true; } | grep 'install the package cairn-bench'
dpkg -i cairn-bench_1.0.0_*.deb
cairn bench --version | grep 1.0.0

step 'the unit as installed'
systemd-analyze verify /lib/systemd/system/cairn.service 2>verify || { cat verify; false; }
# systemd before 254 does not know how to wait longer each time.
grep -v -e RestartSteps -e RestartMaxDelaySec verify | grep cairn && false
systemd-analyze security --no-pager --threshold=20 cairn.service | tail -1
zcat /usr/share/man/man1/cairn-serve.1.gz | grep -q durability
man --path cairn 2>/dev/null || true

step 'SIGHUP keeps the process and its connections'
before=$(main_pid)
systemctl kill --signal=HUP --kill-whom=main cairn.service
ask 'set second 0 3600 3\r\nyes\r\n' 'STORED'
[ "$(main_pid)" = "$before" ]

step 'reload keeps the connections, in a process of its own'
for n in 1 2 3; do
	before=$(main_pid)
	systemctl reload cairn.service
	[ "$(main_pid)" != "$before" ]
	systemctl is-active cairn.service
	ask 'get second\r\n' 'VALUE second 0 3 yes END'
done
journalctl --no-pager --unit=cairn.service | grep -q 'took the server over'
await bash -c "! kill -0 $before"

step 'the successor that the process itself starts is the main process, too'
before=$(main_pid)
systemctl kill --signal=USR2 --kill-whom=main cairn.service
await bash -c "[ \$(systemctl show -p MainPID --value cairn.service) != $before ]"
ask 'get second\r\n' 'VALUE second 0 3 yes END'
if journalctl --no-pager _PID=1 | grep 'not our child'; then fail 'systemd does not watch over the successor'; fi

step 'a reload that fails says so and changes nothing'
before=$(main_pid)
cp /etc/cairn/cairn.yaml /etc/cairn/good.yaml
echo 'nonsense: 1' >>/etc/cairn/cairn.yaml
if systemctl reload cairn.service; then fail 'a reload with a wrong configuration succeeded'; fi
mv /etc/cairn/good.yaml /etc/cairn/cairn.yaml
systemctl is-active cairn.service
[ "$(main_pid)" = "$before" ]
ask 'get second\r\n' 'VALUE second 0 3 yes END'
journalctl --no-pager --unit=cairn.service | grep -q 'no setting "nonsense"'

step 'upgrade keeps data, configuration and connections'
echo '# mine' >>/etc/cairn/cairn.yaml
dpkg -i cairn_1.2.3_*.deb
systemctl is-active cairn.service
[ "$(main_pid)" != "$before" ]
[ "$(running_version)" = 1.2.3 ]
grep -q '# mine' /etc/cairn/cairn.yaml
ask 'get first\r\n' 'VALUE first 0 5 hello END'

step 'a stop after a takeover is clean'
systemctl stop cairn.service
journalctl --no-pager --unit=cairn.service | tail -5 | grep -q 'everything is on disk'
[ "$(systemctl show --property=Result --value cairn.service)" = success ]
systemctl start cairn.service

step 'sockets of systemd, also across a takeover'
systemctl stop cairn.service
systemctl start cairn.socket cairn-http.socket
connect # it starts the service
ask 'get first\r\n' 'VALUE first 0 5 hello END'
[ "$(running_version)" = 1.2.3 ]
before=$(main_pid)
systemctl reload cairn.service
[ "$(main_pid)" != "$before" ]
ask 'get first\r\n' 'VALUE first 0 5 hello END'
systemctl stop cairn.service # systemd keeps listening
connect
ask 'get first\r\n' 'VALUE first 0 5 hello END'
systemctl stop cairn.socket cairn-http.socket cairn.service
systemctl start cairn.service
connect
ask 'get second\r\n' 'VALUE second 0 3 yes END'

step 'killed, it comes back with everything'
before=$(main_pid)
kill -9 "$before"
await bash -c "[ \$(systemctl show -p MainPID --value cairn.service) != $before ] && systemctl is-active cairn.service"
connect
ask 'get second\r\n' 'VALUE second 0 3 yes END'

step 'killed after a takeover, it comes back as well'
systemctl reload cairn.service
before=$(main_pid)
kill -9 "$before"
await bash -c "[ \$(systemctl show -p MainPID --value cairn.service) != $before ] && systemctl is-active cairn.service"
connect
ask 'get second\r\n' 'VALUE second 0 3 yes END'

step 'hanging, it is ended and started again'
mkdir -p /run/systemd/system/cairn.service.d
printf '[Service]\nWatchdogSec=1\n' >/run/systemd/system/cairn.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart cairn.service # the period reaches a process at its start
before=$(main_pid)
kill -STOP "$before"
await bash -c "[ \$(systemctl show -p MainPID --value cairn.service) != $before ] && systemctl is-active cairn.service"
journalctl --no-pager --unit=cairn.service | grep -q 'Watchdog timeout'
rm -r /run/systemd/system/cairn.service.d
systemctl daemon-reload
connect
ask 'get first\r\n' 'VALUE first 0 5 hello END'

step 'remove keeps data and configuration'
dpkg -r cairn
systemctl is-active cairn.service && false
[ ! -e /usr/bin/cairn ]
[ -e /etc/cairn/cairn.yaml ]
dpkg -i cairn_1.2.3_*.deb
connect
ask 'get first\r\n' 'VALUE first 0 5 hello END'

step 'purge removes all'
dpkg -P cairn
[ ! -e /var/lib/cairn ] && [ ! -e /etc/cairn ] && [ ! -e /etc/default/cairn ]

touch passed
step 'passed'
