"""What the analysis tests ask about actions."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")
load("//rules:push.bzl", "image_push")

def action_of(env, mnemonic):
    """Finds the one action of a kind of the target under test.

    Args:
      env: the test's environment.
      mnemonic: the kind.

    Returns:
      The Action.
    """
    found = [a for a in analysistest.target_actions(env) if a.mnemonic == mnemonic]
    asserts.equals(env, 1, len(found), "number of actions " + mnemonic)
    return found[0]

def names(files):
    """The names of files without their folders, in order.

    Args:
      files: depset of File.

    Returns:
      A sorted list of strings.
    """
    return sorted([file.basename for file in files.to_list()])

def read_by(action):
    """What an action reads besides the tool.

    Args:
      action: the Action.

    Returns:
      The sorted list of the files' names.
    """
    tool = action.argv[0]
    return sorted([file.basename for file in action.inputs.to_list() if file.path != tool])

def flags(action, name):
    """The values of a flag in an action's command line, in order.

    Args:
      action: the Action.
      name: the flag: "--layer".

    Returns:
      A list of strings. Of files of this package, the names without their folders.
    """
    values = []
    for i, arg in enumerate(action.argv):
        if arg == name:
            values.append(action.argv[i + 1].rpartition("/rules/tests/")[2])
        elif arg.startswith(name + "="):
            values.append(arg[len(name) + 1:])
    return values

def spec_actions(env):
    """Finds the actions that write push specs.

    Args:
      env: the test's environment.

    Returns:
      A list of Action, in the order of their outputs' names.
    """
    actions = {a.outputs.to_list()[0].basename: a for a in analysistest.target_actions(env) if a.mnemonic == "PushSpec"}
    return [actions[name] for name in sorted(actions)]

def launcher_of(env):
    """Reads what bazel run of the target under test executes.

    Args:
      env: the test's environment.

    Returns:
      The program's text.
    """
    executable = analysistest.target_under_test(env)[DefaultInfo].files_to_run.executable
    return [a.content for a in analysistest.target_actions(env) if executable in a.outputs.to_list()][0]

def layers_here(env):
    """Says which layers bazel run of the target under test has brought to this machine.

    Args:
      env: the test's environment.

    Returns:
      A sorted list of file names.
    """
    return [name for name in names(analysistest.target_under_test(env)[DefaultInfo].default_runfiles.files) if ".tar" in name]

def _refusal_impl(ctx):
    env = analysistest.begin(ctx)
    asserts.expect_failure(env, ctx.attr.says)
    return analysistest.end(env)

_refusal_test = analysistest.make(
    _refusal_impl,
    attrs = {"says": attr.string(mandatory = True)},
    expect_failure = True,
)

def refused(rule, name, says, **attrs):
    """Declares a target that its rule refuses, and the test that it does.

    Args:
      rule: the rule.
      name: the target's name; the test's has `_test` after it.
      says: a part of what is said.
      **attrs: what the target has.
    """
    rule(
        name = name,
        tags = ["manual"],
        **attrs
    )
    _refusal_test(
        name = name + "_test",
        says = says,
        target_under_test = ":" + name,
    )

def pushed(name, image, **kwargs):
    """Declares a push of an image to a repository of these tests.

    Args:
      name: the target's name.
      image: the image's label.
      **kwargs: what else it has.
    """
    image_push(
        name = name,
        image = image,
        registry = "registry.example:5000",
        repository = "acme/app",
        tags = ["manual"],
        **kwargs
    )
