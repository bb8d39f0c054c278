"""The platforms that the `drayage` tool is built for."""

# Go's names of the platforms, and their constraint values in @platforms.
TOOL_PLATFORMS = {
    "darwin_amd64": ["@platforms//os:macos", "@platforms//cpu:x86_64"],
    "darwin_arm64": ["@platforms//os:macos", "@platforms//cpu:aarch64"],
    "linux_amd64": ["@platforms//os:linux", "@platforms//cpu:x86_64"],
    "linux_arm64": ["@platforms//os:linux", "@platforms//cpu:aarch64"],
    "windows_amd64": ["@platforms//os:windows", "@platforms//cpu:x86_64"],
    "windows_arm64": ["@platforms//os:windows", "@platforms//cpu:aarch64"],
}

_SYSTEMS = {"mac os x": "darwin"}

_ARCHITECTURES = {
    "aarch64": "arm64",
    "x86_64": "amd64",
}

def platform_of(name, arch):
    """Returns a host's name in TOOL_PLATFORMS.

    Args:
      name: the `name` of a repository_os: Java's name of the system.
      arch: its `arch`.

    Returns:
      A name such as "linux_amd64". TOOL_PLATFORMS may not have it.
    """
    name = name.lower()
    system = "windows" if name.startswith("windows") else _SYSTEMS.get(name, name)
    return "{}_{}".format(system, _ARCHITECTURES.get(arch, arch))
