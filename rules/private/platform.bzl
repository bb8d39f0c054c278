"""OCI platforms and Bazel's constraint values."""

# @platforms//cpu constraint values and the names of GOARCH, which the OCI image spec uses, with the variant.
ARCHITECTURES = {
    "aarch64": "arm64",
    "armv7": "arm/v7",
    "ppc64le": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
    "x86_32": "386",
    "x86_64": "amd64",
}

PLATFORM_ATTRS = {
    "_constraint_windows": attr.label(default = "@platforms//os:windows"),
} | {
    "_constraint_" + cpu: attr.label(default = "@platforms//cpu:" + cpu)
    for cpu in ARCHITECTURES
}

def _has(ctx, name):
    return ctx.target_platform_has_constraint(getattr(ctx.attr, "_constraint_" + name)[platform_common.ConstraintValueInfo])

def known_platform(ctx):
    """Returns the OCI name of the target platform of a rule with PLATFORM_ATTRS, if images can be for it.

    Args:
      ctx: the rule's context.

    Returns:
      What target_platform returns, or None.
    """
    system = "windows" if _has(ctx, "windows") else "linux"
    for cpu, architecture in ARCHITECTURES.items():
        if _has(ctx, cpu):
            return "{}/{}".format(system, architecture)
    return None

def target_platform(ctx):
    """Returns the OCI name of the target platform of a rule with PLATFORM_ATTRS, or fails.

    Args:
      ctx: the rule's context.

    Returns:
      "os/architecture" or "os/architecture/variant". The system is linux unless it is windows: containers on a
      Mac are linux containers.
    """
    platform = known_platform(ctx)
    if platform:
        return platform
    fail("{}: the target platform must have one of these CPUs: {}".format(ctx.label, ", ".join(ARCHITECTURES)))

def constraints_of(system, architecture, variant):
    """Returns the constraint values of the target platforms that an image is for.

    Args:
      system: the OCI image spec's os.
      architecture: its architecture.
      variant: its variant, or "".

    Returns:
      The labels of constraint values, or None if @platforms has no constraint values for the platform. A linux image is
      for every system except windows.
    """
    for cpu, name in ARCHITECTURES.items():
        wanted, _, wanted_variant = name.partition("/")
        if architecture == wanted and (not wanted_variant or wanted_variant == variant) and not (architecture == "amd64" and variant):
            return ["@platforms//cpu:" + cpu] + (["@platforms//os:windows"] if system == "windows" else [])
    return None

# Variants of arm that an armv7 processor runs too, the best first. An arm without a variant is v7 to containerd.
_BEFORE_ARMV7 = ["", "v6", "v5"]

def constraints_by_rank(system, architecture, variant):
    """Returns the constraint values of the target platforms that an image can run on, and how well it fits.

    Args:
      system: the OCI image spec's os.
      architecture: its architecture.
      variant: its variant, or "".

    Returns:
      The labels of constraint values, and a rank: 0 if the image is for these platforms, and more if their processors can
      run it too. A lower rank is better. Or None, None.
    """
    constraints = constraints_of(system, architecture, variant)
    if constraints:
        # Target platforms are windows, or linux if nothing else is there.
        return constraints, (0 if system in ["linux", "windows"] else 10)
    if architecture == "arm" and variant in _BEFORE_ARMV7:
        return constraints_of(system, "arm", "v7"), 1 + _BEFORE_ARMV7.index(variant)
    return None, None
