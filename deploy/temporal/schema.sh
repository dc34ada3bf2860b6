#!/bin/sh
# Creates Temporal's two databases and brings their schemas up to the version of
# the tool. It may be run again at any time: what is there stays as it is, and a
# newer version's tool adds what is new. Run that before the newer server starts.
#
# It takes the variables that Temporal's server takes, and the name of a file
# with the password.
set -eu

SQL_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
export SQL_PASSWORD # not an argument: everyone on a machine can read those

tool() { # DATABASE COMMAND…
	database=$1
	shift
	temporal-sql-tool --plugin "$DB" --endpoint "$POSTGRES_SEEDS" --port "$DB_PORT" --user "$POSTGRES_USER" --database "$database" "$@"
}

prepare() { # DATABASE SCHEMA
	tool "$1" create-database
	tool "$1" setup-schema --version 0.0
	tool "$1" update-schema --schema-name "postgresql/v12/$2"
}

prepare "$DBNAME" temporal
prepare "$VISIBILITY_DBNAME" visibility # needs the right to create the extension btree_gin
