#!/usr/bin/env bash
# Installs what is missing of the packages it is given, and nothing else: setup.sh PACKAGE…
# Asks for root rights (sudo) only when something is missing and we are not root.
set -euo pipefail

missing=()
for package in "$@"; do
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $status == installed ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0

echo "Installing: ${missing[*]}"
as_root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "These packages are missing: ${missing[*]}. Installing them needs root rights, and there is" \
      "no sudo here. Please run as root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@"
}
install() { apt install --yes --no-install-recommends "${missing[@]}" >/dev/null; }

# The package lists are fetched only where they are absent or too old to serve.
known() { apt-cache show "${missing[@]}" >/dev/null 2>&1; }
if ! { known && install 2>/dev/null; }; then
  apt update
  if ! install; then
    echo "apt-get could not install ${missing[*]} (its message is above). Soma is built and tested on" \
      "Debian 12; elsewhere, install what these packages hold and run this script again." >&2
    exit 1
  fi
fi
