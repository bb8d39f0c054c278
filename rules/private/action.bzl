"""Helpers for actions that run the `drayage` tool."""

load(":toolchain.bzl", "TOOLCHAIN_TYPE")

def tool_args(ctx, command):
    """Begins the command line of the tool. A long command line goes into a file.

    Args:
      ctx: the rule's context.
      command: the subcommand.

    Returns:
      An Args.
    """
    args = ctx.actions.args()
    args.set_param_file_format("shell")
    args.use_param_file("@%s", use_always = False)
    args.add(command)
    return args

def run_tool(ctx, args, **kwargs):
    """Declares an action that runs the tool.

    Args:
      ctx: the context of a rule that has the toolchain.
      args: Args that begin with the subcommand.
      **kwargs: further arguments of `ctx.actions.run`: inputs, outputs, mnemonic, progress_message.
    """
    ctx.actions.run(
        arguments = [args],
        executable = ctx.toolchains[TOOLCHAIN_TYPE].drayage,
        toolchain = TOOLCHAIN_TYPE,
        **kwargs
    )

def assignments(values):
    """Turns a dict into values of the tool's flags.

    Args:
      values: dict from string to string.

    Returns:
      A list of `NAME=value`.
    """
    return ["{}={}".format(name, value) for name, value in values.items()]
