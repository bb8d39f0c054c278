"""The executable of a push target whose images the daemon pushes, for `bazel run`."""

load(":gate.bzl", "strictest_gate")

_RUN = """\
#!/bin/sh
{lines}
"""

_PUSHES = "The daemon at --bes_backend pushes this image; 'drayage ledger' shows the result."

_WAITS = {
    "approved": "The gate is approved: tags wait until all that this build pushes is in its registry, and somebody runs 'drayage promote INVOCATION'.",
    "green": "The gate is green: tags wait until all that this build pushes is in its registry. 'drayage wait INVOCATION' waits for that.",
}

def bes_launcher(ctx, gates):
    """Declares the executable of a push target that leaves the push to the daemon. It says what the daemon does.

    Args:
      ctx: the rule's context.
      gates: list of string, the gates of the images.

    Returns:
      The executable and its runfiles.
    """
    executable = ctx.actions.declare_file(ctx.label.name + ".sh")
    says = [_PUSHES]
    gate = strictest_gate(gates)
    if gate in _WAITS:
        says.append(_WAITS[gate])
    lines = "\n".join(['echo "{}" >&2'.format(line) for line in says])
    ctx.actions.write(executable, _RUN.format(lines = lines), is_executable = True)
    return executable, ctx.runfiles()
