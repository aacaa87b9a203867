# shellcheck shell=bash
# Source this file, then: need_built FOLDER...
#
# Makes sure that the jars of modules (folders of the checkout) are there and newer than every source. Builds them if not, and says
# so on stderr a line a module. Inside the machine of scripts/nested, which has no network and a slow CPU, it never builds: jars
# that are out of date are used with a warning, and jars that are missing are an error.

# shellcheck source=jdk.sh
. "$(dirname "${BASH_SOURCE[0]}")/jdk.sh"

checkout=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")

# What JVMs that live for seconds are started with: the second compiler and a parallel collector cost them more than they give.
# shellcheck disable=SC2034 # used by those who source this
JKVM_SHORT_LIVED=(-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto)

# True if the module in the folder $1 has a jar, and so has every module of this project that it needs.
has_jars() {
  local jar
  for jar in "$checkout/$1/target"/jkvm-*.jar "$checkout/$1/target/lib"/jkvm-*.jar; do
    [ -e "$jar" ] || return 1
  done
}

# True if they are newer than their sources, too.
is_built() {
  local jar module sources
  has_jars "$1" || return 1
  for jar in "$checkout/$1/target"/jkvm-*.jar "$checkout/$1/target/lib"/jkvm-*.jar; do
    module=$1
    case $jar in */lib/*) module=$(basename "$jar"); module=${module%%-[0-9]*} ;; esac
    sources=main
    [[ $jar != *-tests.jar ]] || sources=test
    [ -z "$(find "$checkout/$module/src/$sources"/{java,resources} "$checkout/$module/pom.xml" \
      -newer "$jar" -print -quit 2>/dev/null)" ] || return 1
  done
}

need_built() {
  local folder missing=() list log="$checkout/target/build.log"
  for folder; do
    is_built "$folder" || missing+=("$folder")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ -n "${NESTED_SHARE:-}" ]; then
    for folder in "${missing[@]}"; do
      if ! has_jars "$folder"; then
        echo "$(basename "$0"): $folder must be built before scripts/nested is started: scripts/quickstart --build" >&2
        return 1
      fi
      echo "$(basename "$0"): $folder is older than its sources; to build it anew, outside: scripts/quickstart --build" >&2
    done
    return 0
  fi
  require_jdk || return 1
  list=$(IFS=, && echo "${missing[*]}")
  mkdir -p "$checkout/target"
  echo "building ${missing[*]} (everything Maven says: target/build.log)" >&2
  # Maven adds to target/lib and never removes.
  for folder in "${missing[@]}"; do
    rm -rf "$checkout/$folder/target/lib"
  done
  if ! (cd "$checkout" && ./mvnw -DskipTests -Dspotless.check.skip -pl "$list" -am package) 2>&1 | tee "$log" |
    sed -un 's/^\[INFO\] Building \(.*[^ ]\) [^ ]* *\[\(.*\)\]$/  \2 \1/p' >&2; then
    grep -m 20 '^\[ERROR\]' "$log" >&2 || tail -n 20 "$log" >&2
    echo "$(basename "$0"): the build failed; see target/build.log" >&2
    return 1
  fi
  # Maven leaves a jar alone that would come out the same.
  for folder in "${missing[@]}"; do
    touch "$checkout/$folder/target"/jkvm-*.jar "$checkout/$folder/target/lib"/jkvm-*.jar
  done
}
