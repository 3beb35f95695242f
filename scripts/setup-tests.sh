#!/usr/bin/env bash
# Installs the Debian packages that the tests need and npm cannot bring. Does nothing when they are there.
set -euo pipefail

missing=()
[ -x "${CHROMIUM_PATH:-/usr/bin/chromium}" ] || missing+=(chromium)
# Two more engines: Firefox, and WebKitGTK's small browser with a screen in memory, as it cannot do without one.
[ -x "${FIREFOX_PATH:-/usr/bin/firefox-esr}" ] || missing+=(firefox-esr)
if [ -z "${WEBKIT_PATH:-}" ] && ! ls /usr/lib/*/webkit2gtk-4.1/MiniBrowser >/dev/null 2>&1; then
  missing+=(libwebkit2gtk-4.1-0)
fi
command -v Xvfb >/dev/null || missing+=(xvfb)
command -v kcat >/dev/null || missing+=(kcat)
# Kafka clients for Python come from PyPI into a virtual environment of their own.
python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
[ "${#missing[@]}" -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "The tests need: ${missing[*]}. Install it (as root: apt-get install ${missing[*]}), or set CHROMIUM_PATH, FIREFOX_PATH or WEBKIT_PATH to a browser where that is what is missing." >&2
  exit 1
fi
echo "Installing ${missing[*]} ..." >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >&2
apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
