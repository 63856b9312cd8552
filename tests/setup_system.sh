#!/bin/sh
# What some tests need from the system, from Debian's packages: PostgreSQL for those of tracking on
# a server and of reading from a table, which start one of their own; Chromium for those of the
# report in a browser; Java for those of Spark.
# Where one cannot be installed, its tests are skipped and say so; nothing else needs it.
set -eu

log=$(mktemp)
trap 'rm -f "$log"' EXIT
updated=no

may_install() {
  [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null
}

install() {
  if [ "$updated" = no ]; then
    apt-get -o Acquire::Retries=2 update && updated=yes
  fi && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@"
}

has_postgres() {
  command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}

install_postgres() {
  install postgresql-common &&
    # or the package would start a server of its own on the usual port
    echo "create_main_cluster = false" >>/etc/postgresql-common/createcluster.conf &&
    install postgresql
}

has_chromium() {
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null
}

install_chromium() {
  install chromium fonts-dejavu-core
}

has_java() {
  command -v java >/dev/null || [ -n "${JAVA_HOME:-}" ]
}

install_java() {
  install openjdk-17-jre-headless || install openjdk-21-jre-headless # by the age of the Debian
}

# name of the program, as in has_... and install_...
need() {
  if "has_$1"; then
    return
  fi
  if ! may_install; then
    echo "$2 is missing, and only root on Debian could install it: its tests are skipped." >&2
  elif ! "install_$1" >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    echo "$2 could not be installed: its tests are skipped." >&2
  fi
}

need postgres PostgreSQL
need chromium Chromium
need java Java
