"""Attributes of an image that can inherit the base's value."""

# internal/image has the same text. It cannot be a real value.
INHERIT_FROM_BASE = "<inherit from base>"

# The defaults of attributes that are lists of words. An entrypoint of the image's own clears the base's command.
INHERITED_WORDS = {
    "cmd": ["<inherit from base, unless entrypoint is set>"],
    "entrypoint": [INHERIT_FROM_BASE],
}

_WORDS = {
    "cmd": "Cmd",
    "entrypoint": "Entrypoint",
}

_TEXTS = {
    "stop_signal": "StopSignal",
    "user": "User",
    "working_dir": "WorkingDir",
}

def add_inheritable(ctx, args):
    """Adds the attributes that can be inherited or unset to a command line.

    Args:
      ctx: the rule's context.
      args: the Args of the action.
    """
    for attribute, field in _WORDS.items():
        words = getattr(ctx.attr, attribute)
        if words == INHERITED_WORDS[attribute]:
            continue
        if len([word for word in words if word == INHERIT_FROM_BASE]) > 1:
            fail("{}: {} must have INHERIT_FROM_BASE only once".format(ctx.label, attribute))
        args.add_all(words, format_each = "--" + attribute + "=%s")
        if not words:
            args.add("--unset=" + field)
    for attribute, field in _TEXTS.items():
        text = getattr(ctx.attr, attribute)
        if text == INHERIT_FROM_BASE:
            continue
        if text:
            args.add(text, format = "--" + attribute.replace("_", "-") + "=%s")
        else:
            args.add("--unset=" + field)
