"""The gate of a push: when its tags move."""

# The strictest last.
_GATES = ["pushed", "green", "approved"]

GATE_VALUES = [""] + _GATES

GATE_DOC = """When the tags move. `pushed`: as soon as the image is in its registry. `green`: when the build has ended well, and all that it pushes is in its registry. `approved`: when somebody
promotes the build as well. Until then the image is in its registry by its digest only: it is *staged*. The default is `@drayage//rules/settings:gate`, which is `pushed`. If both are set, the stricter counts, and the daemon,
its policy and the build may ask for a stricter one still: see [Releases](../release.md)."""

def strictest_gate(gates):
    """Finds the gate that counts.

    Args:
      gates: list of string: gates, and "" for what does not say.

    Returns:
      The strictest of them.
    """
    return _GATES[max([_GATES.index(gate) for gate in gates if gate] + [0])]
