#!/bin/sh
# The tests of tracking on a server start a PostgreSQL of their own, from Debian's packages.
# Where it cannot be installed, those tests are skipped and say so; nothing else needs it.
set -eu

if command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
  exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "PostgreSQL is missing, and only root on Debian could install it: its tests are skipped." >&2
  exit 0
fi

log=$(mktemp)
install() {
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@"
}
if ! {
  apt-get -o Acquire::Retries=2 update &&
    install postgresql-common &&
    # or the package would start a server of its own on the usual port
    echo "create_main_cluster = false" >>/etc/postgresql-common/createcluster.conf &&
    install postgresql
} >"$log" 2>&1; then
  tail -n 5 "$log" >&2
  echo "PostgreSQL could not be installed: its tests are skipped." >&2
fi
rm -f "$log"
