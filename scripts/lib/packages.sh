# shellcheck shell=bash
# Source this file, then: need_packages PACKAGE...
#
# Makes sure that Debian packages are installed. As root on Debian or Ubuntu it installs what is missing; anyone else gets the
# exact command to type, and a non-zero status.

# True if the package's files are there: "installed", not merely "config-files left".
package_installed() {
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# True if apt knows where to get the package; asks for new lists once if it does not.
package_available() {
  command -v apt-cache >/dev/null || return 1
  if apt_has_candidate "$1"; then return 0; fi
  refresh_package_lists && apt_has_candidate "$1"
}

apt_has_candidate() {
  # Not grep -q: with pipefail, apt-cache fails when it is not read to its end.
  LC_ALL=C apt-cache policy "$1" 2>/dev/null | grep '^  Candidate: [^(]' >/dev/null
}

refresh_package_lists() {
  [ "$(id -u)" = 0 ] || return 1
  [ -z "${JKVM_PACKAGE_LISTS_FRESH:-}" ] || return 0
  export JKVM_PACKAGE_LISTS_FRESH=1
  apt-get -qq update >&2
}

need_packages() {
  local package missing=()
  if ! command -v dpkg-query >/dev/null; then
    echo "$(basename "$0"): this needs the Debian packages: $*" >&2
    echo "  This is no Debian or Ubuntu: install their equivalents with this system's package manager." >&2
    return 1
  fi
  for package; do
    package_installed "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0

  if [ "$(id -u)" != 0 ]; then
    echo "$(basename "$0"): packages are missing: ${missing[*]}" >&2
    echo "  Install them with: sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
    return 1
  fi
  for package in "${missing[@]}"; do
    if ! package_available "$package"; then
      echo "$(basename "$0"): no package source of this machine has '$package' (see /etc/apt/sources.list.d)" >&2
      return 1
    fi
  done
  echo "installing Debian packages: ${missing[*]}" >&2
  if ! install_packages "${missing[@]}"; then
    # Lists that are older than the newest point release name files that are gone.
    refresh_package_lists && install_packages "${missing[@]}" || {
      echo "$(basename "$0"): could not install: ${missing[*]}" >&2
      echo "  See what is wrong with: apt-get install --no-install-recommends ${missing[*]}" >&2
      return 1
    }
  fi
}

install_packages() {
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
    -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 install "$@" >&2 </dev/null
}
