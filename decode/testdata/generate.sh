#!/bin/sh
# Writes the files of this directory with the libraries that real sessions come
# from. Needs PHP with igbinary, msgpack and memcached, a memcached, Python
# with Django, Ruby and a JDK. Run it here; the results are committed.
set -eu
cd "$(dirname "$0")"

memcached -u nobody -l 127.0.0.1 -p 21991 -U 0 & memcached=$!
trap 'kill $memcached' EXIT
sleep 1

php generate.php
/usr/bin/python3 generate.py
ruby generate.rb
java Generate.java
