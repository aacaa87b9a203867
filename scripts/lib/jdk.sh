# shellcheck shell=bash
# Source this file, then: require_jdk
#
# Finds a JDK 25 or later even when `java` on the PATH is an older one, and exports JAVA_HOME and a PATH that begins with it.
# JDK 25, which jkvm is tested on, is preferred to later ones, except that a JAVA_HOME that will do is always taken.

# shellcheck source=packages.sh
. "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

JKVM_JDK=25

# Prints the feature release ("25") of the JDK in the folder $1; nothing if there is no whole JDK.
jdk_feature_release() {
  [ -x "$1/bin/javac" ] && [ -r "$1/release" ] || return 0
  sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release"
}

# Prints the folders in which a JDK may be, one a line.
jdk_folders() {
  local tool
  for tool in javac java; do
    if tool=$(command -v "$tool"); then
      tool=$(readlink -f "$tool")
      echo "${tool%/bin/*}"
    fi
  done
  ls -d /usr/lib/jvm/* /usr/java/* /usr/local/*jdk* /opt/* /opt/*/* "${HOME:-/root}"/.sdkman/candidates/java/* \
    "${HOME:-/root}"/.jdks/* "${HOME:-/root}"/*jdk* 2>/dev/null
}

# Sets JAVA_HOME to the best JDK of this machine; fails if none will do.
find_jdk() {
  local folder release best='' best_release=0
  if [ -n "${JAVA_HOME:-}" ]; then
    release=$(jdk_feature_release "$JAVA_HOME")
    if [ "${release:-0}" -ge "$JKVM_JDK" ]; then return 0; fi
  fi
  while IFS= read -r folder; do
    release=$(jdk_feature_release "$folder")
    [ "${release:-0}" -ge "$JKVM_JDK" ] || continue
    if [ "$best_release" = 0 ] || [ "$release" -lt "$best_release" ]; then
      best=$folder best_release=$release
    fi
  done < <(jdk_folders)
  [ -n "$best" ] || return 1
  JAVA_HOME=$best
}

require_jdk() {
  local package
  if ! find_jdk; then
    for package in "openjdk-$JKVM_JDK-jdk-headless" "temurin-$JKVM_JDK-jdk"; do
      if package_available "$package"; then
        need_packages "$package" && find_jdk && break
        return 1
      fi
    done
  fi
  if ! find_jdk; then
    cat >&2 <<EOF
$(basename "$0"): no JDK $JKVM_JDK or later found (JAVA_HOME='${JAVA_HOME:-}', PATH, /usr/lib/jvm, /opt, ~/.sdkman, ~/.jdks).
  Where the distribution has it:                sudo apt-get install openjdk-$JKVM_JDK-jdk-headless
  A download from https://adoptium.net:         sudo tar -xzf OpenJDK${JKVM_JDK}U-jdk_*.tar.gz -C /opt
  With SDKMAN (https://sdkman.io):              sdk install java $JKVM_JDK-tem
  One that is somewhere else on this machine:   export JAVA_HOME=/its/folder
EOF
    return 1
  fi
  export JAVA_HOME PATH="$JAVA_HOME/bin:$PATH"
}
