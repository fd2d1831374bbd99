#!/bin/sh
# What the tests need from the system and no package registry of Python or Node carries: a second broker, a database
# server, a browser, a software HSM, a software TPM, a daemon for satellite receivers. Installs what is missing with
# apt-get where it may, and says what to do where it may not.
set -eu
missing=""
[ -x /usr/sbin/mosquitto ] || command -v mosquitto >/dev/null 2>&1 || missing="$missing mosquitto"
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null 2>&1 || missing="$missing postgresql"
command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || missing="$missing chromium"
command -v softhsm2-util >/dev/null 2>&1 || missing="$missing softhsm2"
command -v swtpm >/dev/null 2>&1 || missing="$missing swtpm"
command -v tpm2_nvincrement >/dev/null 2>&1 || missing="$missing tpm2-tools"
[ -x /usr/sbin/gpsd ] || command -v gpsd >/dev/null 2>&1 || missing="$missing gpsd"
[ -n "$missing" ] || exit 0
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo -n"
if command -v apt-get >/dev/null 2>&1 && $as_root true 2>/dev/null; then
    echo "Installing for the tests:$missing" >&2
    $as_root apt-get update -qq >&2
    # shellcheck disable=SC2086 # one word a package
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "The tests need these programs, please install them:$missing" >&2
    exit 1
fi
