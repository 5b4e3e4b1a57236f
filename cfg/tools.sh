#!/usr/bin/env bash
# Install the Debian packages that only tests need, where root runs it. Without them tests skip and
# name what is missing, so that this script never fails. The compiler and the emulator of
# microcontrollers are about 110 MB to fetch, 0.9 GB on disk and a minute or two. What only long
# tests need is not installed: python3 cfg/requirements.py --tests names it.
#
#   bash cfg/tools.sh
set -uo pipefail

# program:packages
tools="
    qemu-x86_64:qemu-user
    arm-none-eabi-gcc:gcc-arm-none-eabi,libnewlib-arm-none-eabi
    qemu-system-arm:qemu-system-arm
"

missing=()
for tool in $tools; do
    command -v "${tool%%:*}" > /dev/null && continue
    IFS=, read -ra packages <<< "${tool##*:}"
    missing+=("${packages[@]}")
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
