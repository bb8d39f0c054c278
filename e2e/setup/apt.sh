# shellcheck shell=bash
# An apt of the project's own: the machine's mirror and keys, private lists and
# archives, so that neither root nor a change of the machine is needed.

# apt_fetch TOOL: the tool's packages as .cache/debs/TOOL/*.deb.
apt_fetch() {
  local tool=$1 debs=$cache/debs/$1 suite want
  suite=$(debian_suite "$tool")
  want=$(debian_packages "$tool" | key "$suite")
  if [[ -f $debs/.complete && $(<"$debs/.complete") == "$want" ]]; then return; fi
  need apt-get apt
  need dpkg-deb dpkg
  mkdir -p "$debs"
  say "fetching $tool from Debian ($suite)"
  apt_open "$suite"
  local packages
  mapfile -t packages < <(debian_packages "$tool")
  if [[ $suite == machine ]]; then
    apt_run install --download-only -y --no-install-recommends "${packages[@]}"
    find "$apt_home/archives" -maxdepth 1 -name '*.deb' -exec mv -t "$debs" {} +
  else
    mapfile -t -O "${#packages[@]}" packages < <(apt_libraries "${packages[@]}")
    (cd "$debs" && apt_run download "${packages[@]}")
    apt_prune "$debs" "${packages[@]}"
  fi
  rm -rf "$apt_home"
  printf '%s\n' "$want" >"$debs/.complete"
}

# apt_open SUITE: makes the private apt and reads the suite's package list.
apt_open() {
  apt_home=$cache/apt
  rm -rf "$apt_home"
  mkdir -p "$apt_home"/{lists/partial,archives/partial,sources}
  local status=/var/lib/dpkg/status arch
  arch=$(dpkg --print-architecture)
  apt_options=(
    -o "Dir::State=$apt_home" -o "Dir::State::lists=$apt_home/lists"
    -o "Dir::Cache=$apt_home" -o "Dir::Cache::archives=$apt_home/archives"
    -o APT::Sandbox::User= -o Debug::NoLocking=1 -o Acquire::Retries=3 -o Acquire::Languages=none
    -o APT::Architecture="$arch" -o APT::Architectures::="$arch"
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
    -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false
    # A mirror that lags behind is good enough; its signatures are checked.
    -o Acquire::Check-Valid-Until=false
    -o APT::Update::Post-Invoke::= -o APT::Update::Post-Invoke-Success::= -q
  )
  if [[ $1 != machine ]]; then
    local mirror
    mirror=$(apt_mirror)
    [[ -n $mirror ]] || die "this machine's apt sources name no Debian mirror (a URI that ends in /debian)"
    cat >"$apt_home/sources/suite.sources" <<SOURCES
Types: deb
URIs: $mirror
Suites: $1
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
    # The suite's own dependencies decide, not what the machine has.
    status=$apt_home/status
    : >"$status"
    apt_options+=(-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$apt_home/sources"
      -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null)
  fi
  apt_options+=(-o "Dir::State::status=$status")
  apt_run update
}

apt_run() {
  apt-get "${apt_options[@]}" "$@" >"$apt_home/log" 2>&1 || {
    tail -20 "$apt_home/log" >&2
    die "apt-get $1 failed: see the lines above"
  }
}

apt_mirror() {
  { cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list /etc/apt/sources.list 2>/dev/null || true; } | awk '
    $1 == "URIs:" || $1 == "deb" {
      for (i = 2; i <= NF && mirror == ""; i++) if ($i ~ /^https?:.*\/debian\/?$/) mirror = $i
    }
    END { print mirror }'
}

# apt_libraries PACKAGE...: the shared-library packages that the packages need,
# however deep. Java libraries are named in debian.txt; what belongs to init
# systems and desktops is never loaded here.
apt_libraries() {
  local direct
  direct=$(apt_depends "$@" | grep -vE -- '-java$|-dev$|-data$')
  # shellcheck disable=SC2086 # a list
  apt_depends --recurse $direct | grep -vE -- '-dev$|-data$|^libc-|^libgcc-[0-9]|^lib(ssl|crypt|systemd|cap|udev|gcrypt)' | sort -u
}

apt_depends() {
  apt-cache "${apt_options[@]}" depends --important "$@" 2>/dev/null |
    awk '$1 == "Depends:" { print $2 } /^[a-z]/ { print $1 }' | grep -E '^(lib|zlib1g$)[^:<]*$' | sort -u
}

# apt_prune FOLDER PACKAGE...: removes .debs that an older run left there.
apt_prune() {
  local folder=$1 deb name
  shift
  for deb in "$folder"/*.deb; do
    name=${deb##*/}
    [[ " $* " == *" ${name%%_*} "* ]] || rm -f "$deb"
  done
}
