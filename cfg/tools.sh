#!/usr/bin/env bash
# Install the Debian packages that only tests need, where root runs it. Without them tests skip and
# name what is missing, so that this script never fails.
#
#   bash cfg/tools.sh
set -uo pipefail

# program: package
tools="qemu-x86_64:qemu-user"

missing=()
for tool in $tools; do
    command -v "${tool%%:*}" > /dev/null || missing+=("${tool##*:}")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    echo "installing for tests: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    timeout 300 apt-get update -qq &&
        timeout 600 apt-get install -qq -y --no-install-recommends "${missing[@]}" > /dev/null &&
        exit 0
fi
echo "some tests will skip; for them: sudo apt-get install ${missing[*]}" >&2
