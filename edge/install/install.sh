#!/bin/sh
# Install, upgrade or remove the agent of a Cairn device: Raspberry Pi OS 64-bit, Debian, Ubuntu, JetPack.
#
# Each version is a virtual environment of its own in /opt/cairn/VERSION, built from pins with hashes, wheels only.
# /opt/cairn/current is a link that is switched only once the new version has passed its smoke test, and switched back
# if the service does not stay up with it. What a device must not lose lies in /var/lib/cairn and is never touched here
# but by --purge. May be run again at any time; an interrupted run leaves the version that was there.
#
# Exit status: 0 done, 1 a problem (nothing was changed), 2 a wrong command line, 3 the new version did not stay up and
# the old one runs on. Tested in tests/e2e/test_edge_install.py and tests/integration/test_install_checks.py.
set -eu
umask 022
unset PYTHONPATH PYTHONHOME
export ORT_DISABLE_TELEMETRY=1

readonly OLDEST_PYTHON=3.11
readonly FIRST_UNTRIED_PYTHON=3.15 # no wheels yet for what comes after 3.14
readonly OLDEST_GLIBC=2.28         # what the wheels in constraints/edge.txt were built against (manylinux_2_28)
readonly ROOM_MIB=900              # one version with its downloads; measured: 400 and 100
readonly ROOM_FOR_LINKS_MIB=150    # one more version with the same packages: they are links to those already there

say() { printf '%s\n' "$*" >&2; }
step() { printf '%s\n' "- $*" >&2; }
die() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}
wrong_line() {
    printf 'install.sh: %s; see --help\n' "$*" >&2
    exit 2
}

usage() {
    cat <<'END'
Usage: sh install.sh [--wheel FILE | --from DIR] [options]      install or upgrade
       sh install.sh --uninstall [--purge]                      remove

  --wheel FILE    the agent, as a wheel; without it and --from: the checkout that install.sh lies in, or the wheel beside it
  --from DIR      the agent, as a checkout of the repository
  --extra NAME    optional parts too, each pinned like the rest (hsm: keys in an HSM or a secure element)
  --no-service    no systemd unit
  --settle S      how long the service must stay up with a new version before it is believed (default 15 seconds)
  --root DIR      put everything below DIR instead of / (tests, images); starts nothing and installs no system package
  --upgrade       the same as no option: a newer version replaces the one that runs
  --uninstall     remove the agent, keep /var/lib/cairn: the device's key is in it
  --purge         with --uninstall: remove that too, and the user cairn
  --help          this

PYTHON=/path/to/python3 chooses the Python.

Example: sudo sh install.sh --wheel cairn_network-0.1.0-py3-none-any.whl
END
}

# ---------------------------------------------------------------------------------------------------- command line

root="" wheel="" checkout="" extras="" has_service=yes settle_s=15 is_removal=no is_purge=no
while [ $# -gt 0 ]; do
    case $1 in
        --wheel | --from | --root | --extra | --settle)
            [ $# -ge 2 ] || wrong_line "$1 needs a value"
            case $1 in
                --wheel) wheel=$2 ;;
                --from) checkout=$2 ;;
                --root) root=$2 ;;
                --extra) extras="$extras $2" ;;
                --settle) settle_s=$2 ;;
            esac
            shift
            ;;
        --no-service) has_service=no ;;
        --upgrade) ;;
        --uninstall) is_removal=yes ;;
        --purge) is_purge=yes ;;
        --help | -h)
            usage
            exit 0
            ;;
        *) wrong_line "$1 is not an option" ;;
    esac
    shift
done
[ -z "$wheel" ] || [ -z "$checkout" ] || wrong_line "--wheel and --from exclude each other"
[ "$is_purge" = no ] || [ "$is_removal" = yes ] || wrong_line "--purge goes with --uninstall"
case $settle_s in '' | *[!0-9]*) wrong_line "--settle takes whole seconds" ;; esac
case $extras in *[!a-z\ ]*) wrong_line "--extra takes a name" ;; esac

if [ -n "$root" ]; then
    root=$(mkdir -p "$root" && cd "$root" && pwd) || die "$root cannot be made: choose another --root"
    [ "$root" != / ] || root=""
fi
if [ -z "$root" ] && [ "$(id -u)" != 0 ]; then
    die "this changes the system and must be run by root: sudo sh install.sh ..."
fi
opt=$root/opt/cairn
state=$root/var/lib/cairn
units=$root/etc/systemd/system
command=$root/usr/local/bin/cairn-edge
scratch=$opt/.scratch

# ---------------------------------------------------------------------------------------------- systemd and the user

# Tests put a program of their own here; below another root nothing is started otherwise.
systemctl=${CAIRN_SYSTEMCTL:-}
if [ -z "$systemctl" ] && [ -z "$root" ] && [ -d /run/systemd/system ]; then systemctl=systemctl; fi

# UID:GID of the user cairn in this root; nothing where there is none.
cairn_ids() {
    if [ -n "$root" ]; then
        awk -F: '$1 == "cairn" { print $3 ":" $4 }' "$root/etc/passwd" 2>/dev/null || :
    elif id -u cairn >/dev/null 2>&1; then
        echo "$(id -u cairn):$(id -g cairn)"
    fi
}

# Run a command with the rights the agent will have, where this can be done.
as_cairn() {
    if [ "$(id -u)" = 0 ] && [ -z "$root" ] && [ -n "$(cairn_ids)" ]; then
        setpriv --reuid=cairn --regid=cairn --init-groups --no-new-privs env HOME="$state" "$@"
    else
        "$@"
    fi
}

make_user() {
    if [ -n "$root" ]; then
        # useradd changes a passwd file below a prefix, but only root may; an empty root has no users at all.
        [ "$(id -u)" = 0 ] && [ -f "$root/etc/passwd" ] || return 0
        prefix="--prefix $root"
    else
        prefix=""
    fi
    if [ -z "$(cairn_ids)" ]; then
        step "Making the system user cairn"
        # shellcheck disable=SC2086 # two words or none
        useradd $prefix --system --user-group --home-dir /var/lib/cairn --no-create-home --shell /usr/sbin/nologin cairn ||
            die "the user cairn cannot be made"
    fi
    # Cameras, serial ports, GPU, pins, I2C: only groups that this system has.
    for group in video dialout render gpio i2c; do
        if grep -q "^$group:" "$root/etc/group" 2>/dev/null; then
            # shellcheck disable=SC2086 # two words or none
            usermod $prefix --append --groups "$group" cairn || die "cairn cannot join the group $group"
        fi
    done
}

make_state_directory() {
    if [ ! -d "$state" ]; then
        mkdir -p "$state"
        chmod 700 "$state"
    fi
    owner=$(cairn_ids)
    # Not what is inside: whose files those are is the owner's business.
    if [ -n "$owner" ] && [ "$(id -u)" = 0 ]; then chown "$owner" "$state"; fi
}

# -------------------------------------------------------------------------------------------------------- removal

remove_all() {
    if [ ! -e "$opt/current" ] && [ ! -e "$command" ] && [ "$is_purge" = no ]; then
        rm -rf "$opt"
        say "There is no agent in ${root:-/}."
        return 0
    fi
    if [ -n "$systemctl" ]; then
        # shellcheck disable=SC2046 # one word a unit
        "$systemctl" disable --now $(all_units) >/dev/null 2>&1 || :
    fi
    rm -f "$units/cairn-edge.service" "$units/cairn-edge@.service" "$units"/multi-user.target.wants/cairn-edge.service
    [ -z "$systemctl" ] || "$systemctl" daemon-reload || :
    rm -f "$command"
    rm -rf "$opt"
    step "Removed $opt, $command and the service"
    if [ "$is_purge" = yes ]; then
        rm -rf "$state"
        if [ -z "$root" ] && [ -n "$(cairn_ids)" ]; then userdel cairn || :; fi
        step "Removed $state: the key of this device is gone for ever, unless you have a copy"
    elif [ -d "$state" ]; then
        step "Kept $state: the device's key is in it, and what no hub has yet. --purge removes it, and the user cairn"
    fi
}

# The unit, and every instance of the template that runs.
all_units() {
    printf 'cairn-edge.service\n'
    "$systemctl" list-units --plain --no-legend --all 'cairn-edge@*.service' 2>/dev/null | awk '{ print $1 }'
}

# ------------------------------------------------------------------------------------------------------- checks

# version_before A B: whether A comes before B, both MAJOR.MINOR...
version_before() { [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

check_machine() {
    [ "$(uname -s)" = Linux ] || die "the agent runs on Linux; this is $(uname -s)"
    machine=$(uname -m)
    case $machine in
        x86_64 | amd64 | aarch64 | arm64) ;;
        arm* | i?86) die_of_32_bit ;;
        *) die "there are no wheels of ONNX Runtime for $machine: x86_64 and aarch64 have them" ;;
    esac
    # A 64-bit kernel under 32-bit programs is what Raspberry Pi OS 32-bit looks like on a Pi 4 or 5.
    [ "$(getconf LONG_BIT)" = 64 ] || die_of_32_bit
    libc=$(getconf GNU_LIBC_VERSION 2>/dev/null) ||
        die "this system has no glibc (Alpine?): ONNX Runtime has wheels for glibc only; use Debian, Ubuntu or Raspberry Pi OS"
    libc=${libc#glibc }
    if version_before "$libc" "$OLDEST_GLIBC"; then
        die "glibc $libc is too old: the wheels need $OLDEST_GLIBC, which Debian 10 and Ubuntu 20.04 have; upgrade the system"
    fi
    step "This machine: $(uname -s), $machine, 64 bit, glibc $libc"
}

die_of_32_bit() {
    die "this is a 32-bit system ($(uname -m) kernel, $(getconf LONG_BIT)-bit programs), and ONNX Runtime has no wheels for it" \
        "(no armv7l). A Pi 3, 4, 5 or Zero 2 W runs Raspberry Pi OS 64-bit: write that to the card and run this again"
}

check_room() {
    free_mib=$(df -Pk "$opt" | awk 'NR == 2 { print int($4 / 1024) }')
    wanted_mib=$ROOM_MIB
    [ ! -e "$opt/current" ] || wanted_mib=$ROOM_FOR_LINKS_MIB
    [ "$free_mib" -ge "$wanted_mib" ] || die "$opt has $free_mib MiB free and needs $wanted_mib: make room"
}

# ------------------------------------------------------------------------------------------------------- Python

is_python() {
    command -v "$1" >/dev/null 2>&1 && "$1" -c "
import sys, ensurepip, venv
def version(text): return tuple(map(int, text.split('.')))
sys.exit(not (version('$OLDEST_PYTHON') <= sys.version_info[:2] < version('$FIRST_UNTRIED_PYTHON') and sys.maxsize > 2**32))
" >/dev/null 2>&1
}

find_python() {
    python=""
    if [ -n "${PYTHON:-}" ]; then
        is_python "$PYTHON" || die "PYTHON=$PYTHON is not a Python from $OLDEST_PYTHON to before $FIRST_UNTRIED_PYTHON with venv"
        python=$PYTHON
        return 0
    fi
    # The system's own first: its security updates come by themselves.
    for candidate in python3 python3.13 python3.12 python3.11 python3.14 "$opt"/python/*/bin/python3; do
        if is_python "$candidate"; then
            python=$candidate
            return 0
        fi
    done
    return 1
}

provide_python_with_apt() {
    command -v apt-get >/dev/null 2>&1 || return 1
    step "Looking for Python $OLDEST_PYTHON or newer among the system's packages (apt-get update)"
    apt-get update -qq >&2 || say "  apt-get update did not succeed; going on with the list that is there"
    for version in 3.13 3.12 3.11; do
        if [ -n "$(apt-cache --names-only search "^python$version-venv\$" 2>/dev/null)" ]; then
            step "Installing python$version and python$version-venv with apt-get"
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
                "python$version" "python$version-venv" >/dev/null && find_python && return 0
        fi
    done
    return 1
}

# The last resort, for Debian 11 or JetPack 5: a Python that uv fetches from outside the system's packages.
provide_python_with_uv() {
    say "  This system has no package of Python $OLDEST_PYTHON or newer: uv fetches one (python-build-standalone, from GitHub)"
    say "  into $opt/python. Its security updates do not come with the system's: run this again now and then."
    uv_pins=$scratch/wheel/edge/install/uv.txt
    [ -z "$checkout" ] || uv_pins=$checkout/constraints/uv.txt
    uv=$(command -v uv) || {
        python3 -m venv "$scratch/uv" >/dev/null 2>&1 ||
            die "python3 cannot make virtual environments: apt-get install python3-venv, then run this again"
        "$scratch/uv/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: \
            -r "$uv_pins" || die "uv cannot be had: install Python $OLDEST_PYTHON or newer by hand"
        uv=$scratch/uv/bin/uv
    }
    UV_PYTHON_INSTALL_DIR=$opt/python "$uv" python install --quiet 3.12 ||
        die "uv cannot fetch Python 3.12: install Python $OLDEST_PYTHON or newer by hand, and name it with PYTHON=/path/to/python3"
    find_python
}

need_python() {
    if ! find_python; then
        [ -z "$root" ] ||
            die "Python $OLDEST_PYTHON or newer with venv is needed; below --root nothing is installed for you"
        provide_python_with_apt || provide_python_with_uv ||
            die "no Python $OLDEST_PYTHON or newer: install it, or name one with PYTHON=/path/to/python3"
    fi
    step "Python: $("$python" --version 2>&1) ($python)"
}

# -------------------------------------------------------------------------------------------------------- the wheel

choose_source() {
    here=$(cd "$(dirname "$0")" && pwd)
    if [ -z "$wheel$checkout" ] && [ -f "$here/../../pyproject.toml" ]; then checkout=$(cd "$here/../.." && pwd); fi
    if [ -z "$wheel$checkout" ]; then
        for beside in "$here"/cairn_network-*.whl; do
            [ -z "$wheel" ] || die "several wheels lie beside install.sh: name one with --wheel"
            [ ! -f "$beside" ] || wheel=$beside
        done
        [ -n "$wheel" ] || die "name the agent to install: --wheel FILE, or --from DIR for a checkout"
    fi
    if [ -n "$wheel" ]; then
        case $wheel in *.whl) ;; *) die "$wheel is not a wheel (cairn_network-VERSION-py3-none-any.whl)" ;; esac
        [ -f "$wheel" ] || die "there is no file $wheel"
    else
        [ -f "$checkout/pyproject.toml" ] && [ -f "$checkout/constraints/build.txt" ] || die "$checkout is not a checkout of Cairn"
    fi
}

build_wheel() {
    step "Building the wheel from $checkout"
    "$python" -m venv "$scratch/build"
    "$scratch/build/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: \
        -r "$checkout/constraints/build.txt" || die "what builds the wheel cannot be had: see above"
    "$scratch/build/bin/pip" wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
        --wheel-dir "$scratch/built" "$checkout" >&2 || die "the wheel cannot be built: see above"
    wheel=$(echo "$scratch"/built/cairn_network-*.whl)
}

unpack_wheel() {
    "${python:-python3}" -m zipfile -e "$wheel" "$scratch/wheel" 2>/dev/null || die "$wheel cannot be unpacked: fetch it again"
    version=$(sed -n 's/^Version: //p' "$scratch"/wheel/cairn_network-*.dist-info/METADATA 2>/dev/null) || version=""
    case $version in '' | *[!0-9a-zA-Z.+]* | .*) die "$wheel is not a wheel of Cairn" ;; esac
    lists=edge
    for extra in $extras; do lists="$lists edge-$extra"; done
    for list in $lists; do
        [ -f "$scratch/wheel/edge/install/$list.txt" ] || die "the wheel has no pinned list for '${list#edge-}'"
        cat "$scratch/wheel/edge/install/$list.txt"
    done >"$scratch/pins.txt"
}

# ------------------------------------------------------------------------------------------------- one version

# Where a version keeps what lies in edge/install here.
parts_of() { echo "$1"/lib/python3*/site-packages/edge/install; }

# Whether the version may be built in $1: it is there already, or nothing is that runs. Elsewhere lies another build of
# the same version, as a checkout makes them, or one that runs and was found damaged.
is_free() {
    if [ -e "$1/complete" ]; then
        [ "$(cat "$1/complete")" = "$stamp" ]
    else
        [ "$1" != "$old" ]
    fi
}

choose_place() {
    stamp="$(sha256sum <"$wheel" | cut -c 1-64) $(sha256sum <"$scratch/pins.txt" | cut -c 1-64) $("$python" --version 2>&1)"
    old=$(readlink "$opt/current" 2>/dev/null) && old=$opt/$old || old=""
    old_previous=$(readlink "$opt/previous" 2>/dev/null) || old_previous=""
    new=$opt/$version
    is_free "$new" || new=$opt/$version-$(printf '%s' "$stamp" | cut -c 1-8)
    is_free "$new" || new=$new-again
}

# Whether the packages of the version that runs are those of the new one, and whole.
has_same_packages() {
    [ -n "$old" ] && [ -e "$old/complete" ] && cmp -s "$scratch/pins.txt" "$old/pins.txt" &&
        [ "$(cut -d ' ' -f 3- <"$old/complete")" = "${stamp#* * }" ]
}

build_version() {
    is_built=no
    [ ! -e "$new/complete" ] || return 0
    rm -rf "$new" # half of one, from a run that was interrupted
    phase=building
    is_built=yes
    if has_same_packages; then
        step "Installing $version; its packages are those of ${old##*/}: nothing to fetch"
        "$python" -m venv --without-pip "$new"
        # Links, not copies: nobody writes into these files, and an SD card is small. pip replaces files, it never edits them.
        site=$(echo "$new"/lib/python3*/site-packages)
        cp -a --link "$(echo "$old"/lib/python3*/site-packages)/." "$site/"
    else
        step "Installing $version with its packages, pinned by hash; this fetches about 100 MB"
        "$python" -m venv "$new"
        "$new/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: \
            -r "$scratch/pins.txt" >&2 || die "the packages cannot be installed: see above. Nothing was changed"
    fi
    "$new/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-index --force-reinstall "$wheel" >&2 ||
        die "the wheel cannot be installed: see above. Nothing was changed"
    cp "$scratch/pins.txt" "$new/pins.txt"
}

smoke_test() {
    step "Testing $version before anything runs on it"
    as_cairn "$new/bin/cairn-edge" --help >/dev/null 2>"$scratch/talk" || smoke_failed "cairn-edge --help fails"
    as_cairn "$new/bin/python" -P -c 'import edge.sight.vision, edge.capture.reading, cv2, numpy, onnxruntime' 2>"$scratch/talk" ||
        smoke_failed "what sees cannot be loaded"
    for model in "$state"/models/*/; do
        [ -d "$model" ] || continue
        name=$(basename "$model")
        if ! as_cairn "$new/bin/cairn-edge" model test "$name" --dir "$state" >/dev/null 2>"$scratch/talk"; then
            # A model that the old version cannot run either is no fault of the new one.
            if [ -n "$old" ] && as_cairn "$old/bin/cairn-edge" model test "$name" --dir "$state" >/dev/null 2>&1; then
                smoke_failed "the model $name fails its self-test"
            fi
            say "  The model $name fails its self-test, not only with this version: cairn-edge doctor says more"
        fi
    done
}

smoke_failed() {
    tail -n 5 "$scratch/talk" >&2
    if [ "$is_built" = no ]; then
        rm -f "$new/complete"
        die "$version, installed before, is damaged: $1. Run this again, and it is built anew"
    fi
    if [ -n "$old" ]; then die "$version does not work here: $1. ${old##*/} stays in place"; fi
    die "$version does not work here: $1. Nothing was installed"
}

# --------------------------------------------------------------------------------------------- switching versions

# One rename(2): at every moment there is a whole link to a whole version.
point() {
    ln -sfn "$2" "$opt/$1.new"
    mv -T "$opt/$1.new" "$opt/$1"
}

# The command, the units and this script as the version in $1 has them.
put_in_place() {
    parts=$(parts_of "$1")
    mkdir -p "$(dirname "$command")"
    replace "$parts/cairn-edge.sh" "$command" 755
    replace "$parts/install.sh" "$opt/install.sh" 755
    [ "$has_service" = yes ] || return 0
    mkdir -p "$units/multi-user.target.wants"
    replace "$parts/cairn-edge.service" "$units/cairn-edge.service" 644
    # Several devices on one box: the same unit, each with a directory of its own.
    sed -e 's|/var/lib/cairn|/var/lib/cairn/%i|g' -e 's|^StateDirectory=cairn$|StateDirectory=cairn/%i|' \
        -e 's|^RuntimeDirectory=.*|&-%i|' -e 's|^Description=.*|& (%i)|' "$parts/cairn-edge.service" >"$scratch/template"
    replace "$scratch/template" "$units/cairn-edge@.service" 644
}

replace() {
    cp "$1" "$2.new"
    chmod "$3" "$2.new"
    mv -f "$2.new" "$2"
}

switch_over() {
    phase=switched
    if [ "$new" != "$old" ]; then
        [ -z "$old" ] || point previous "${old##*/}"
        point current "${new##*/}"
    fi
    put_in_place "$new"
}

roll_back() {
    phase=none
    if [ -n "$old" ]; then
        point current "${old##*/}"
        if [ -n "$old_previous" ]; then point previous "$old_previous"; else rm -f "$opt/previous"; fi
        put_in_place "$old"
        [ "$new" = "$old" ] || rm -rf "$new"
        start_units >/dev/null 2>&1 || :
        say "Rolled back: ${old##*/} runs on."
    else
        rm -f "$opt/current"
        rm -rf "$new"
        [ -z "$systemctl" ] || "$systemctl" disable --now cairn-edge.service >/dev/null 2>&1 || :
        rm -f "$units/cairn-edge.service" "$units/cairn-edge@.service" "$command"
        say "Nothing was installed."
    fi
}

# ------------------------------------------------------------------------------------------------------ the service

start_units() {
    [ "$has_service" = yes ] && [ -n "$systemctl" ] || return 0
    "$systemctl" daemon-reload || return 1
    for unit in $(all_units); do
        case $unit in
            cairn-edge.service) is_wanted || continue ;;
            *) ;;
        esac
        "$systemctl" restart "$unit" || return 1
    done
}

# Whether the unit should run: there is a device, and its owner has not switched it off.
is_wanted() { [ -f "$state/cairn.toml" ] && "$systemctl" is-enabled --quiet cairn-edge.service; }

# Up, and still up with no restart in between when it has had its time.
stays_up() {
    is_wanted || return 0
    before=$("$systemctl" show --property=NRestarts --value cairn-edge.service)
    second=0
    while :; do
        "$systemctl" is-active --quiet cairn-edge.service || return 1
        [ "$second" -lt "$settle_s" ] || break
        second=$((second + 1))
        sleep 1
    done
    [ "$("$systemctl" show --property=NRestarts --value cairn-edge.service)" = "$before" ]
}

run_service() {
    [ "$has_service" = yes ] || return 0
    # Only the first time: an owner who has switched it off is obeyed.
    if [ -z "$old" ]; then
        if [ -n "$systemctl" ]; then
            "$systemctl" daemon-reload && "$systemctl" enable --quiet cairn-edge.service
        else
            ln -sfn /etc/systemd/system/cairn-edge.service "$units/multi-user.target.wants/cairn-edge.service"
        fi
    fi
    if [ -z "$systemctl" ]; then
        step "systemd does not run here: the service is in place and starts with the system"
    elif [ ! -f "$state/cairn.toml" ]; then
        step "The service is in place; it waits for a device in $state"
        "$systemctl" daemon-reload || :
    else
        step "Starting the service, and watching it for $settle_s s"
        if ! start_units || ! stays_up; then
            say "install.sh: the service does not stay up with $version: journalctl -u cairn-edge says why."
            roll_back
            if [ -n "$old" ]; then exit 3; fi
            exit 1
        fi
    fi
}

# Keep what runs and what ran before it.
remove_older() {
    kept=$(readlink "$opt/previous" 2>/dev/null) || kept=""
    for each in "$opt"/*/pins.txt; do
        each=$(dirname "$each")
        if [ "$each" != "$new" ] && [ "${each##*/}" != "$kept" ] && [ ! -L "$each" ]; then rm -rf "$each"; fi
    done
}

# ------------------------------------------------------------------------------------------------------------- all

phase=none new="" old="" old_previous=""
on_exit() {
    status=$?
    trap '' INT TERM HUP # what follows is short and must be whole
    case $phase in
        building) rm -rf "$new" ;;
        switched) roll_back ;;
        *) ;;
    esac
    rm -rf "$scratch"
    exit "$status"
}

interrupted() {
    say "install.sh: interrupted"
    exit "$1"
}

next_steps() {
    if [ -f "$state/cairn.toml" ]; then
        say "Done: $version. Ask with: sudo cairn-edge doctor"
        return 0
    fi
    say "Done: $version. Next:"
    say "  sudo cairn-edge init --hub https://HUB --owner 0x... --lat 52.52 --lon 13.405   make the device"
    say "  sudo cairn-edge model add yolox-nano                                             fetch what sees"
    say "  sudo cairn-edge doctor                                                           check everything"
    [ "$has_service" = no ] || say "  sudo systemctl start cairn-edge                                                  and from then on by itself"
}

[ "$is_removal" = yes ] || check_machine
mkdir -p "$opt" || die "$opt cannot be made"
if command -v flock >/dev/null 2>&1; then
    exec 9>"$opt/.lock"
    flock -n 9 || die "another install.sh is at work"
fi
if [ "$is_removal" = yes ]; then
    remove_all
    exit 0
fi
trap on_exit EXIT
trap 'interrupted 130' INT
trap 'interrupted 143' TERM
trap 'interrupted 129' HUP
choose_source
check_room
rm -rf "$scratch"
mkdir -p "$scratch"
export TMPDIR="$scratch" # pip's downloads too: /tmp may be a small piece of memory
# Only for the pins of uv, which brings the Python that reads the rest: any python3 will do, and none is no harm.
[ -z "$wheel" ] || (unpack_wheel) 2>/dev/null || :
need_python
[ -n "$wheel" ] || build_wheel
rm -rf "$scratch/wheel"
unpack_wheel
choose_place
make_user
make_state_directory
build_version
smoke_test
if [ "$is_built" = yes ]; then printf '%s\n' "$stamp" >"$new/complete"; else step "$version is installed already"; fi
switch_over
run_service
phase=finished
remove_older
next_steps
