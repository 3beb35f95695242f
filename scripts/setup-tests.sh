#!/usr/bin/env bash
# Installs the Debian packages that the tests need and npm cannot bring. Does nothing when they are there.
set -euo pipefail

missing=()
if [ -z "${CHROMIUM:-}" ] && ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null \
  && ! command -v google-chrome >/dev/null; then
  missing+=(chromium)
fi
command -v kcat >/dev/null || missing+=(kcat)
# Kafka clients for Python come from PyPI into a virtual environment of their own.
python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
[ "${#missing[@]}" -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "The tests need: ${missing[*]}. Install it (as root: apt-get install ${missing[*]}), or set CHROMIUM to a browser where that is what is missing." >&2
  exit 1
fi
echo "Installing ${missing[*]} ..." >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >&2
apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
