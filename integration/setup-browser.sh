#!/usr/bin/env bash
# What the tests of the map's page need: chromium and its driver, from Debian. Elsewhere, or where others are wanted, CHROMIUM
# and CHROMEDRIVER name them; they have to be of the same version.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

is_there() { [ -x "${CHROMIUM:-$(command -v chromium)}" ] && [ -x "${CHROMEDRIVER:-$(command -v chromedriver)}" ]; }

is_there && exit
# Ubuntu's packages of these names only lead to snaps, which do not run in containers.
if [ "$(. /etc/os-release 2>/dev/null && echo "$ID")" = debian ]; then
    need chromium chromium-driver
fi
is_there || fail "chromium and chromedriver are missing: install them (Debian: chromium, chromium-driver), or set CHROMIUM and" \
    "CHROMEDRIVER to the paths of a Chromium or Chrome and of the chromedriver of the same version"
