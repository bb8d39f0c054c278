"""The toolchain: the `drayage` that the actions run."""

# A Label and not a string: Bazel would look for a string in the main repository.
TOOLCHAIN_TYPE = Label("//rules:toolchain_type")

def _drayage_toolchain_impl(ctx):
    return [platform_common.ToolchainInfo(
        drayage = ctx.attr.drayage[DefaultInfo].files_to_run,
    )]

drayage_toolchain = rule(
    implementation = _drayage_toolchain_impl,
    doc = "Says which `drayage` the rules' actions run. Register it with a `toolchain` of the type `@drayage//rules:toolchain_type`.",
    attrs = {
        "drayage": attr.label(
            doc = "The tool, for the execution platform.",
            allow_single_file = True,
            cfg = "exec",
            executable = True,
            mandatory = True,
        ),
    },
)
