#!/bin/sh
# Makes .venv and installs the named requirement files into it, when they changed since last time.
#   sh scripts/bootstrap.sh requirements.txt [requirements-dev.txt]
# Needs Python 3.11 or newer with venv, and nothing else; PYTHON=… names a certain one.
set -eu
cd "$(dirname "$0")/.."

modern='import sys; sys.exit(sys.version_info < (3, 11))'

find_python() {
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c "$modern" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    found=$(python3 --version 2>/dev/null || echo 'no Python')
    echo "This site needs Python 3.11 or newer; found: $found." >&2
    echo "Install one (Debian, Ubuntu: sudo apt-get install python3.11 python3.11-venv; macOS: brew install python@3.13)," >&2
    echo "then run make again. PYTHON=/path/to/python3 names a certain one." >&2
    exit 1
}

make_venv() {
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        echo "Python $version is here, but its 'venv' module is not complete. Install it:" >&2
        echo "  Debian, Ubuntu:  sudo apt-get install python$version-venv" >&2
        echo "  others:          the package that brings 'venv' and 'ensurepip' for Python $version" >&2
        echo "then run make again." >&2
        exit 1
    fi
    echo "Making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
}

# A stamp is the requirement file as it was when it was installed last.
current=yes
for file in "$@"; do
    cmp -s "$file" ".venv/installed-$file" || current=no
done
if [ "$current" = yes ] && .venv/bin/python -c "$modern" 2>/dev/null; then
    exit 0
fi

if ! .venv/bin/python -c "$modern" 2>/dev/null || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    make_venv
fi

arguments=
for file in "$@"; do
    arguments="$arguments -r $file"
done
echo "Installing what the site needs ($*): this takes a minute, once"
# shellcheck disable=SC2086  # the file names hold no spaces, and each is a word
if ! .venv/bin/python -m pip install --disable-pip-version-check --no-input $arguments; then
    echo >&2
    echo "The packages could not be installed; pip says why above." >&2
    echo "No network, or a proxy? Check both and run make again: it continues where it was." >&2
    exit 1
fi
for file in "$@"; do
    cp "$file" ".venv/installed-$file"
done
