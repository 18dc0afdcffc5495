#!/bin/bash
# Run once by the Postgres image, on an empty data folder: a database and an owner for each service that has one.
set -euo pipefail
for service in chat feedback; do
  psql --quiet --set ON_ERROR_STOP=1 --username postgres --set name="$service" \
    --set password="$(cat "/run/secrets/${service}_database_password")" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done
