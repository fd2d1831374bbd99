#!/bin/sh
# cairn-edge, as install.sh puts it into /usr/local/bin: the installed version of the agent, run with the rights of the
# user who owns the device's directory. Root's own would make files that the service cannot read.
set -eu
root=$(dirname "$(readlink -f "$0")")/../../..
root=$(cd "$root" && pwd)
[ "$root" != / ] || root=""
# The version, not the link to it: children must be of the same version, even while the link is switched.
version=$(readlink -f "$root/opt/cairn/current") || version=""
if [ ! -x "$version/bin/python" ]; then
    echo "cairn-edge: there is no version in $root/opt/cairn/current: run install.sh again" >&2
    exit 1
fi
unset PYTHONPATH PYTHONHOME
# ONNX Runtime would send reports of its use to its maker, and write an id of this machine into the home directory.
export ORT_DISABLE_TELEMETRY=1
state=$root/var/lib/cairn
if [ "$(id -u)" = 0 ]; then
    export CAIRN_EDGE_DIR="${CAIRN_EDGE_DIR:-$state}"
    owner=$(stat -c %U "$state")
    if [ "$owner" != root ]; then
        # Root's folder cannot even be stood in by others.
        setpriv --reuid="$owner" --regid="$owner" --init-groups test -x . 2>/dev/null || cd "$state"
        export HOME="$state"
        exec setpriv --reuid="$owner" --regid="$owner" --init-groups --no-new-privs \
            "$version/bin/python" -P -m edge.cli "$@"
    fi
elif [ -w "$state" ]; then # the service, or whoever installed it below a root of their own
    export CAIRN_EDGE_DIR="${CAIRN_EDGE_DIR:-$state}"
elif [ -z "${CAIRN_EDGE_DIR:-}" ] && [ ! -d "${HOME:-/}/.cairn/edge" ]; then
    echo "cairn-edge: this box's own device is that of the user cairn: sudo cairn-edge ..." >&2
fi
exec "$version/bin/python" -P -m edge.cli "$@"
