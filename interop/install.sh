#!/usr/bin/env bash
# Installs what the tests run besides Go: memcached clients in their own
# languages, the servers Cairn is compared with, a browser, promtool.
# Needs Debian or Ubuntu and root (or sudo). Quick when all is there already.
# Starts no service.
set -euo pipefail
cd "$(dirname "$0")"

packages=(
	# clients
	php-cli php-memcached php-symfony-http-foundation
	php-illuminate-session php-illuminate-cache php-illuminate-config php-illuminate-container php-illuminate-http
	python3 python3-pymemcache python3-django python3-pylibmc python3-binary-memcached
	python3-flask-session
	libspymemcached-java libtomcat9-java
	ruby ruby-dalli ruby-rack ruby-connection-pool ruby-webrick ruby-actionpack
	libcache-memcached-fast-perl
	libmemcached-tools netcat-openbsd curl
	# peers
	memcached redis-server yrmcds
	# the console's browser, the metrics' rules, archives
	chromium prometheus zstd
	# machines with networks of their own
	iproute2 iptables
	# units, packages and images
	systemd systemd-container buildah rpm
	# the race detector
	gcc libc6-dev
)
command -v javac >/dev/null || packages+=(default-jdk-headless)
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)

missing=()
for package in "${packages[@]}"; do
	status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$status" = installed ] || missing+=("$package")
done

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

if [ ${#missing[@]} -gt 0 ]; then
	echo "installing ${missing[*]}"
	# The packages of servers would start them; this policy forbids it.
	if [ ! -e /usr/sbin/policy-rc.d ]; then
		printf '#!/bin/sh\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d >/dev/null
		as_root chmod +x /usr/sbin/policy-rc.d
		trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
	fi
	export DEBIAN_FRONTEND=noninteractive
	as_root apt-get update -qq
	as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

cd ..
for folder in interop httpapi/typescript httpapi/console/accessibility deploy/kubernetes/check; do
	(
		cd "$folder"
		lock=$(sha256sum package.json package-lock.json | sha256sum | cut -d' ' -f1)
		[ "$(cat node_modules/.installed 2>/dev/null)" = "$lock" ] && exit
		echo "installing npm packages in $folder"
		npm ci --no-fund --no-audit --loglevel=error
		echo "$lock" >node_modules/.installed
	)
done
