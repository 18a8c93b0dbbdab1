#!/bin/sh
# Writes the files of this directory with the libraries that real sessions come
# from. Needs Debian's php-cli, php-illuminate-session, php-illuminate-auth,
# php-symfony-security-core, python3-django, python3-flask-login, python3-msgpack,
# ruby-warden and ruby-devise, and npm's express, express-session and passport where
# Node finds them. Run it here; the results are committed.
set -eu
cd "$(dirname "$0")"

/usr/bin/python3 generate.py
ruby generate.rb
php generate.php
node generate.js
