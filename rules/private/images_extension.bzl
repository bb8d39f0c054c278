"""The module extension that pulls base images."""

load(":pull.bzl", "PULL_ATTRS", "pull")

_pull = tag_class(
    doc = "A base image. The attributes are those of the repository rule `pull`.",
    attrs = PULL_ATTRS | {
        "name": attr.string(
            doc = "Name of the Bazel repository, for `use_repo`.",
            mandatory = True,
        ),
    },
)

def _attributes(tag):
    return {name: getattr(tag, name) for name in PULL_ATTRS}

def _images_impl(mctx):
    wanted = {}
    modules = {}

    # The root module first: where two modules want different images under one name, it decides.
    for module in sorted(mctx.modules, key = lambda m: not m.is_root):
        for tag in module.tags.pull:
            attributes = _attributes(tag)
            if tag.name not in wanted:
                wanted[tag.name] = attributes
                modules[tag.name] = module
            elif wanted[tag.name] != attributes and (modules[tag.name] == module or not modules[tag.name].is_root):
                fail("images.pull: the modules {} and {} pull different images as {}. Add an images.pull of that name to the root module, whose image is then used".format(
                    modules[tag.name].name,
                    module.name,
                    repr(tag.name),
                ))
    for name, attributes in wanted.items():
        pull(name = name, **attributes)

images = module_extension(
    implementation = _images_impl,
    doc = """Pulls base images:

```starlark
images = use_extension("@drayage//rules:extensions.bzl", "images")
images.pull(
    name = "ubuntu",
    registry = "index.docker.io",
    repository = "library/ubuntu",
    tag = "24.04",
    digest = "sha256:1e622c5f073b4f6bfad6632f2616c7f59ef256e96fe78bf6a595d1dc4376ac02",
)
use_repo(images, "ubuntu")
```""",
    tag_classes = {"pull": _pull},
)
