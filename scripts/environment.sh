# Sourced by the other scripts: finds a Python, makes the virtual environment and keeps it up to date.
# shellcheck shell=bash
#
#   prepare_environment KIND EXTRAS    KIND names the stamp that says what is installed; EXTRAS is a comma-separated list
#                                      of which each is left out if there is no wheel for this machine
# sets $root (the checkout) and $python (of the environment).

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
venv="${MOONRAKER_LITE_VENV:-$root/.venv}"
python="$venv/bin/python"

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# The newest of the usual names that is new enough; $PYTHON first.
find_python() {
    local name
    for name in "${PYTHON:-python3}" python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$name" > /dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
            command -v "$name"
            return
        fi
    done
    if command -v python3 > /dev/null; then
        fail "moonraker_lite needs Python 3.11 or newer; python3 here is $(python3 -c 'import platform; print(platform.python_version())')." \
            "Debian 12 and Raspberry Pi OS \"Bookworm\" have it. PYTHON=/path/to/python names another one."
    fi
    fail "moonraker_lite needs Python 3.11 or newer, and there is none here." "On Debian and Raspberry Pi OS: sudo apt install python3 python3-venv"
}

make_venv() {
    local base
    base="$(find_python)"
    "$base" -c 'import venv, ensurepip' 2> /dev/null || fail \
        "This Python ($base) cannot make virtual environments: its venv module is missing." \
        "On Debian and Raspberry Pi OS: sudo apt install python3-venv"
    if [[ -e $venv && ! -e $venv/pyvenv.cfg && -n "$(ls -A -- "$venv")" ]]; then
        fail "$venv is there and is no virtual environment; nothing was touched. Choose another folder by MOONRAKER_LITE_VENV."
    fi
    echo "Making a virtual environment in $venv" >&2
    "$base" -m venv --clear -- "$venv" || fail "The virtual environment could not be made in $venv."
}

# What an installation depends on: a change of it means installing again.
fingerprint() {
    printf '%s %s %s ' "$1" "$root" "$(readlink -f -- "$python")"
    sha256sum < "$root/pyproject.toml"
}

pip_install() {
    "$python" -m pip install --quiet --disable-pip-version-check --prefer-binary --config-settings editable_mode=compat "$@"
}

# All extras at once; if that fails, the package alone and then each extra that can be had.
install_package() {
    local extra wheels=uvloop,pillow
    if [[ -n $1 ]] && pip_install --only-binary "$wheels" -e "${root}[$1]" 2> /dev/null; then
        return
    fi
    pip_install -e "$root" || fail \
        "Installing failed; the reason stands above. Is there a network? Run the command again when it is mended."
    for extra in ${1//,/ }; do
        pip_install --only-binary "$wheels" -e "${root}[$extra]" 2> /dev/null || echo "Going on without the optional \"$extra\" packages." >&2
    done
}

up_to_date() {
    [[ -x $python && -f $1 && "$(< "$1")" == "$(fingerprint "$2")" ]]
}

prepare_environment() {
    local extras="$2" stamp="$venv/.moonraker_lite.$1"
    if up_to_date "$stamp" "$extras"; then
        return
    fi
    # Two at once would spoil it, so the second waits; the lock ends with the file descriptor.
    exec 9< "$root"
    if command -v flock > /dev/null; then
        flock 9
    fi
    if ! up_to_date "$stamp" "$extras"; then
        if ! "$python" -m pip --version > /dev/null 2>&1; then
            make_venv
        fi
        echo "Installing moonraker_lite${extras:+ [$extras]}; this takes a minute" >&2
        install_package "$extras"
        fingerprint "$extras" > "$stamp"
    fi
    exec 9<&-
}
