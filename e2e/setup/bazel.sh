# shellcheck shell=bash
# Bazel: the machine's own where it is new enough, else Debian's, unpacked.
#
# Debian sid's Bazel wants a newer C library than stable releases have. Its
# programs are therefore pointed at the C library unpacked beside them; nothing
# else about them changes. Debian serves the common rule sets as packages: they
# take the place of the module registry, so that builds need no network.

# bazel_of_machine: the Bazel or Bazelisk to use instead of Debian's, if any.
bazel_of_machine() {
  if [[ -n ${BAZEL-} ]]; then
    command -v "$BAZEL" || die "\$BAZEL is $BAZEL, which is no program"
    return
  fi
  local name found major
  for name in bazel bazelisk; do
    found=$(command -v "$name") || continue
    if [[ $name == bazelisk || $(readlink -f "$found") == *bazelisk* ]]; then
      echo "$found"
      return
    fi
    major=$("$found" --version 2>/dev/null | sed -nE 's/^bazel ([0-9]+).*/\1/p')
    if [[ ${major:-0} -ge 7 ]]; then
      echo "$found"
      return
    fi
  done
}

tree=$cache/bazel

bazel_make() {
  local found
  found=$(bazel_of_machine)
  if [[ -n $found ]]; then
    ln -sfn "$found" "$cache/bin/bazel"
    return
  fi
  apt_fetch bazel
  # The paths below are baked into programs and settings, so that the tree is
  # made where it stays; the stamp comes last.
  rm -rf "$tree"
  debian_unpack bazel "$tree"
  bazel_links
  bazel_programs
  bazel_class_path
  bazel_modules
  bazel_stardoc
  bazel_wrapper ""
  bazel_try
}

# bazel_links: absolute links between packages lead into the tree.
bazel_links() {
  local link target
  find "$tree" -type l -lname '/*' -print0 | while IFS= read -r -d '' link; do
    target=$(readlink "$link")
    if [[ -e $tree$target ]]; then ln -sfn "$tree$target" "$link"; fi
  done
}

# bazel_programs: every program runs with the C library in the tree.
bazel_programs() {
  local multiarch libraries loader jre program
  multiarch=$(uname -m)-linux-gnu
  libraries=$tree/usr/lib/$multiarch
  loader=$(find "$tree/usr/lib64" "$libraries" -name 'ld-linux-*.so.*' | head -1)
  jre=$(dirname "$(dirname "$(find "$tree"/usr/lib/jvm -path '*/bin/java' | head -1)")")
  ln -sfn "$jre" "$tree/jre"
  # Where the server looks for its native compression library.
  find "$libraries/jni" "$tree/usr/lib/jni" -name 'libzstd-jni*.so*' -exec cp -L {} "$tree/usr/share/bazel/" \; 2>/dev/null || true
  find "$tree/usr/bin/bazel" "$tree/usr/libexec/$multiarch/bazel" "$jre/bin" "$jre"/lib/{jspawnhelper,jexec} -type f -print0 |
    while IFS= read -r -d '' program; do
      [[ $(head -c4 "$program") == $'\x7fELF' ]] || continue
      "$loader" --library-path "$libraries" "$tree/usr/bin/patchelf" --set-interpreter "$loader" \
        --force-rpath --set-rpath "$libraries:$jre/lib" "$program" || die "cannot patch $program"
    done
}

# bazel_class_path: the server's class path, as far as debian.txt fetched it.
# Debian's build lacks the file that holds the version, without which `bazel
# version` fails and native.bazel_version is empty.
bazel_class_path() {
  local share=$tree/usr/share/bazel jars=$tree/usr/share/java list work
  list=$share/bazel_classpath_debian_depends.txt
  work=$(mktemp -d "$tree/work.XXXXXX")
  printf 'build.label=%s\nbuild.timestamp.as.int=%s\nbuild.target=bazel\n' \
    "$(tr -d '\n' <"$share/build-label.txt")" "$(stat -c %Y "$share/build-label.txt")" >"$work/build-data.properties"
  (cd "$work" && "$share/embedded_tools/tools/zip/zipper/zipper" c "$jars/build-data.jar" build-data.properties)
  rm -rf "$work"
  local jar
  {
    sed 's#.*/##' "$list"
    printf '%s\n' build-data.jar perfmark-api.jar slf4j-api.jar slf4j-nop.jar commons-collections3.jar commons-lang3.jar
  } | sort -u | while read -r jar; do
    if [[ -e $jars/$jar ]]; then printf '%s\n' "$jars/$jar"; fi
  done >"$list.new"
  mv "$list.new" "$list"
}

# bazel_modules: modules without a network. Debian overrides the modules that
# Bazel itself depends on, which satisfies any version that a MODULE.bazel asks
# for. Its other rule sets are served by a registry in a folder, each under every
# version that the project asks for; what only those ask for is an empty module.
bazel_modules() {
  local share=$tree/usr/share/bazel registry=$tree/registry folder name version at
  rm -rf "$registry"
  mkdir -p "$registry/modules"
  echo '{}' >"$registry/bazel_registry.json"
  sed -nE "s#^common --override_module=([a-z_]+)=/#\1 $tree/#p" "$tree/etc/bazel/bazelrc" | sort >"$tree/overrides"
  for folder in "$share"/{rules,tools}/*/; do
    name=$(bazel_module_name "$folder/MODULE.bazel")
    [[ -z $name ]] || printf '%s %s\n' "$name" "${folder%/}"
  done | sort -u >"$tree/folders"
  {
    cat "$share"/embedded_tools/MODULE.bazel "$share"/{rules,tools}/*/MODULE.bazel | bazel_module_deps
    bazel_project_deps
  } | sort -u | while read -r name version; do
    if grep -q "^$name " "$tree/overrides"; then continue; fi
    folder=$(awk -v n="$name" '$1 == n { print $2 }' "$tree/folders")
    at=$registry/modules/$name/$version
    mkdir -p "$at"
    if [[ -n $folder ]]; then
      bazel_module_as "$version" <"$folder/MODULE.bazel" >"$at/MODULE.bazel"
    else
      folder=$tree/empty/$name
      bazel_empty_module "$name" "$version" "$folder"
      cp "$folder/MODULE.bazel" "$at/MODULE.bazel"
    fi
    echo "{\"type\": \"local_path\", \"path\": \"$folder\"}" >"$at/source.json"
  done
}

# The modules alone are made again when a MODULE.bazel asks for something new.
modules_key() { { cat "$cache/stamps/bazel"; bazel_project_deps; } | key modules; }
modules_make() { if [[ ! -L $cache/bin/bazel ]]; then bazel_modules; fi; }

# bazel_project_deps: "NAME VERSION" of what the project's own modules ask for.
bazel_project_deps() {
  find "$root" -path "$cache" -prune -o -name MODULE.bazel -exec cat {} + | bazel_module_deps | sort -u
}

# bazel_module_as VERSION: a MODULE.bazel with that version in its module call.
bazel_module_as() {
  awk -v version="$1" '
    /^module\(/ { inside = 1 }
    inside {
      gsub(/version = "[^"]*",?/, "")
      sub(/^module\(/, "module(version = \"" version "\", ")
    }
    /\)[ \t]*$/ { inside = 0 }
    { print }'
}

bazel_module_name() {
  [[ -f $1 ]] || return 0
  tr '\n' ' ' <"$1" | sed -nE 's/.*(^|[ )])module\( *name = "([^"]+)".*/\2/p'
}

# bazel_module_deps: "NAME VERSION" of each bazel_dep on the input.
bazel_module_deps() {
  sed -E 's/(^|[^:])#.*/\1/' | tr '\n' ' ' | { grep -oE 'bazel_dep\([^)]*\)' || true; } |
    sed -nE 's/.*[( ,]name *= *"([^"]+)".*[ ,]version *= *"([^"]+)".*/\1 \2/p'
}

# bazel_empty_module NAME VERSION FOLDER: a module with nothing in it.
bazel_empty_module() {
  mkdir -p "$3"
  echo "module(name = \"$1\", version = \"$2\")" >"$3/MODULE.bazel"
  : >"$3/BUILD.bazel"
  # bazel_tools loads this extension for `bazel mod tidy`, which is not used here.
  [[ $1 != buildozer ]] || cat >"$3/buildozer_binary.bzl" <<'BZL'
"""An empty stand-in."""

def _repo_impl(rctx):
    rctx.file("BUILD.bazel", "exports_files([\"buildozer.exe\"])")
    rctx.file("buildozer.exe", "#!/bin/sh\nexit 1\n", executable = True)

_repo = repository_rule(implementation = _repo_impl)

buildozer_binary = module_extension(implementation = lambda _: _repo(name = "buildozer_binary"))
BZL
}

# bazel_stardoc: Stardoc's renderer runs with the JRE in the tree, for there is
# no Java toolchain to be had without a network.
bazel_stardoc() {
  local at=$tree/usr/share/bazel/tools/stardoc/stardoc
  [[ -f $at/renderer_prebuilt.jar ]] || return 0
  awk '/^java_(import|binary)\($/ { skip = 1 } !skip && !/@rules_java/ { print } /^\)$/ { skip = 0 }' "$at/BUILD" >"$at/BUILD.new"
  printf '\nsh_binary(\n    name = "renderer",\n    srcs = ["renderer.sh"],\n    visibility = ["//visibility:public"],\n)\n' >>"$at/BUILD.new"
  mv "$at/BUILD.new" "$at/BUILD"
  printf '#!/bin/sh\nexec %s -cp %s com.google.devtools.build.stardoc.renderer.RendererMain "$@"\n' \
    "$tree/jre/bin/java" "$at/renderer_prebuilt.jar" >"$at/renderer.sh"
  chmod +x "$at/renderer.sh"
}

# bazel_wrapper OPTIONS: .cache/bin/bazel, with more options for the server.
bazel_wrapper() {
  {
    echo "common --registry=file://$tree/registry"
    echo "common --lockfile_mode=off"
    # The suffix of a WORKSPACE registers rule sets that would be fetched.
    echo "common --noenable_workspace"
    awk '{ print "common --override_module=" $1 "=" $2 }' "$tree/overrides"
    # A sandbox has a /tmp of its own, without what lies in the machine's.
    if [[ $tree == /tmp/* ]]; then echo "common --noincompatible_sandbox_hermetic_tmp"; fi
  } >"$tree/bazelrc"
  rm -f "$cache/bin/bazel"
  cat >"$cache/bin/bazel" <<WRAPPER
#!/bin/sh
exec $tree/usr/bin/bazel --install_base=$tree/usr/share/bazel --trust_install_base \\
  --server_javabase=$tree/jre $1 --nosystem_rc --bazelrc=$tree/bazelrc "\$@"
WRAPPER
  chmod +x "$cache/bin/bazel"
}

# bazel_try: builds something, and keeps the classes that this loaded as an
# archive with which the servers to come start in half the time.
bazel_try() {
  local work archive=$tree/classes.jsa
  work=$(mktemp -d "$tree/try.XXXXXX")
  echo 'module(name = "try")' >"$work/MODULE.bazel"
  echo 'genrule(name = "try", outs = ["out"], cmd = "echo ok > $@")' >"$work/BUILD.bazel"
  local bazel=("$cache/bin/bazel" --nohome_rc --output_user_root="$work/root"
    --host_jvm_args="-XX:ArchiveClassesAtExit=$archive")
  # Nobody listens at the addresses: the classes that talk to them are loaded.
  (
    cd "$work"
    "${bazel[@]}" build //:try --bes_backend=grpc://127.0.0.1:1 --bes_timeout=1s \
      --remote_cache=grpc://127.0.0.1:1 --remote_retries=0 >log 2>&1 || true
    if [[ ! -f bazel-bin/out ]]; then
      cat log >&2
      "${bazel[@]}" shutdown >/dev/null 2>&1
      exit 1
    fi
    pid=$("${bazel[@]}" info server_pid 2>/dev/null)
    "${bazel[@]}" shutdown >/dev/null 2>&1
    # The archive is complete when the server has ended.
    timeout 60 tail --pid="$pid" -f /dev/null
  ) || die "the unpacked Bazel cannot build: see the lines above"
  chmod -R u+w "$work"
  rm -rf "$work"
  if [[ -s $archive ]]; then bazel_wrapper "--host_jvm_args=-XX:SharedArchiveFile=$archive"; fi
}
