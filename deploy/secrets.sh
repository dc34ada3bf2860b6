#!/bin/sh
# Makes the secrets in deploy/secrets that can be made up, and names those that
# are for others to give out. What is there is left as it is. Exits 1 while one
# is missing.
set -eu
cd "$(dirname "$0")/secrets"

# Whoever may enter the folder may read the files: a container reads them as a
# user of its own, and Compose hands them over with the permissions they have.
chmod 700 .
umask 022

if [ ! -s postgres_password ]; then
	od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >postgres_password
	echo "postgres_password: made" >&2
fi
if [ ! -s ledger_url ]; then
	printf 'postgres://hookyard:%s@postgres:5432/hookyard?sslmode=disable' "$(cat postgres_password)" >ledger_url
	echo "ledger_url: made" >&2
fi

missing=0
want() { # FILE WHAT
	if [ ! -s "$1" ]; then
		echo "$1: missing; write $2 into $PWD/$1" >&2
		missing=1
	fi
}
want stripe "the endpoint's signing secret (whsec_…)"
want orders "a secret of Standard Webhooks (whsec_ and base64)"
want smtp_url "the mail server (smtps://user:password@host:465)"
exit $missing
