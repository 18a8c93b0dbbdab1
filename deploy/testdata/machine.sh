#!/bin/bash
# machine.sh DIRECTORY - boots a copy of this machine that is thrown away, under
# systemd, and runs DIRECTORY/package.sh in it, which finds that directory as
# /cairn-test. It needs root, and is called in a mount namespace of its own
# (unshare --mount), so that nothing is left behind.
set -euo pipefail

directory=$1
scratch=$directory/machine
mkdir "$scratch"
mount -t tmpfs -o size=1g tmpfs "$scratch"
mkdir "$scratch"/{upper,work,root}
mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root"

# Services of the real machine are of no concern, and some tools refuse to
# start anything: /usr/sbin/policy-rc.d belongs to machines without systemd.
rm -f "$scratch/root/usr/sbin/policy-rc.d"
cp "$directory/cairn-test.service" "$scratch/root/etc/systemd/system/"

exec systemd-nspawn --quiet --directory="$scratch/root" --bind="$directory:/cairn-test" \
	--machine=cairn-test-$$ --register=no --keep-unit --private-network \
	--boot -- --unit=cairn-test.service --show-status=no </dev/null
