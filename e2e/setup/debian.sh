# shellcheck shell=bash
# Tools that are Debian packages: fetched with the machine's own apt from the
# mirror that its sources name, and unpacked into .cache/TOOL. The machine's
# package database is read, never written. The .debs stay in .cache/debs.
. "$(dirname "${BASH_SOURCE[0]}")/apt.sh"
. "$(dirname "${BASH_SOURCE[0]}")/bazel.sh"

debian_packages() { awk -v t="$1" '$1 == t { for (i = 3; i <= NF; i++) print $i }' "$pins/debian.txt"; }
debian_suite() { awk -v t="$1" '$1 == t { print $2; exit }' "$pins/debian.txt"; }
debian_tool() { [[ -n $(debian_suite "$1") ]]; }

# tool_names: every name that e2e/setup/tools takes.
tool_names() {
  {
    find "$pins" -name go.mod -printf '%P\n' | sed 's#/go.mod##'
    awk '!/^#/ && NF { print $1 }' "$pins/debian.txt"
  } | sort -u | tr '\n' ' '
}

# The programs of a tool, as paths below the root of a file system.
debian_programs() {
  case $1 in
    postgresql) echo "usr/lib/postgresql/*/bin/"{initdb,postgres,pg_dump,pg_restore} ;;
    nginx) echo usr/sbin/nginx ;;
    *) echo "usr/bin/$1" ;;
  esac
}

# The key holds where the cache is, for paths are baked into what is made.
debian_key() {
  local here
  here=$(dirname "${BASH_SOURCE[0]}")
  {
    debian_packages "$1"
    cat "$here"/{debian,apt}.sh
    if [[ $1 == bazel ]]; then
      cat "$here/bazel.sh"
      bazel_of_machine
    fi
  } | key "$cache"
}

debian_make() {
  if [[ $1 == bazel ]]; then
    bazel_make
    return
  fi
  if [[ $1 == debian-base ]]; then
    base_make "$1"
    return
  fi
  local program found
  for program in $(debian_programs "$1"); do
    found=$(debian_newest / "$program")
    if [[ -n $found ]]; then
      ln -sfn "/$found" "$cache/bin/${program##*/}"
      continue
    fi
    [[ -d $cache/$1.new ]] || {
      apt_fetch "$1"
      debian_unpack "$1" "$cache/$1.new"
    }
    found=$(debian_newest "$cache/$1.new" "$program")
    [[ -n $found ]] || die "Debian's packages of $1 hold no $program"
    debian_wrapper "$1" "$found"
  done
  if [[ -d $cache/$1.new ]]; then
    rm -rf "${cache:?}/$1"
    mv "$cache/$1.new" "$cache/$1"
  fi
}

# base_make TOOL: .cache/TOOL/PACKAGE.tar.xz, the archive of each package.
base_make() {
  local package deb
  apt_fetch "$1"
  rm -rf "${cache:?}/$1"
  mkdir -p "$cache/$1"
  for package in $(debian_packages "$1"); do
    deb=$(debian_newest "$cache/debs/$1" "${package}_*.deb")
    ar p "$cache/debs/$1/$deb" data.tar.xz >"$cache/$1/$package.tar.xz"
  done
}

# debian_newest FOLDER PATTERN: the program in a file system, of the newest
# version where it has several; nothing where it has none.
debian_newest() {
  cd "$1" || return
  { compgen -G "$2" || true; } | sort -V | tail -1
}

# debian_unpack TOOL FOLDER: the fetched packages as one file system.
debian_unpack() {
  rm -rf "$2"
  mkdir -p "$2"/usr/{bin,sbin,lib,lib64}
  local merged
  for merged in bin sbin lib lib64; do ln -s "usr/$merged" "$2/$merged"; done
  # shellcheck disable=SC2016 # expanded by the inner shell
  find "$cache/debs/$1" -name '*.deb' -print0 | xargs -0 -P"$(nproc)" -n1 bash -c '
    set -o pipefail
    dpkg-deb --fsys-tarfile "$1" | tar -C "$0" -x --keep-directory-symlink --no-same-owner \
      --exclude="./usr/share/doc" --exclude="./usr/share/man" --exclude="./usr/share/locale" \
      --exclude="./usr/share/maven-repo" --exclude="./usr/include" --exclude="./usr/lib/*/gconv" \
      --exclude="*/classes_nocoops.jsa"' "$2" || die "cannot unpack the packages of $1"
}

# debian_wrapper TOOL PROGRAM: .cache/bin/NAME runs the unpacked program with
# the unpacked libraries beside the machine's own.
debian_wrapper() {
  local to=$cache/bin/${2##*/}
  rm -f "$to"
  cat >"$to" <<WRAPPER
#!/bin/sh
LD_LIBRARY_PATH=$cache/$1/usr/lib/$(uname -m)-linux-gnu\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH} exec $cache/$1/$2 "\$@"
WRAPPER
  chmod +x "$to"
}
