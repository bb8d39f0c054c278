"""image_from_binary: the image of one program."""

load(":index.bzl", "image_index")
load(":layer.bzl", "image_layer")
load(":manifest.bzl", "image_manifest")

def image_from_binary(name, binary, base = None, path = None, layers = [], entrypoint = None, compress = "", include_runfiles = True, owner = "", platforms = [], **kwargs):
    """The image of one program: its executable with its runfiles in a layer, and the entrypoint set to it.

    ```starlark
    image_from_binary(
        name = "server_image",
        base = "@distroless",
        binary = "//cmd/server",
    )
    ```

    The layer is the target `NAME_layer`. With `platforms`, the image for each is `NAME_manifest`, and `NAME` is their index.

    Args:
      name: the image's name.
      binary: the program: any executable target.
      base: the base image.
      path: where the program goes. If it ends with a slash, it is a directory, and the program has the target's name there. The default is `/app/`.
      layers: layers between the base and the program.
      entrypoint: the entrypoint; the default is the program. See `image_manifest`.
      compress: see `image_layer`.
      include_runfiles: whether the program brings its runfiles.
      owner: see `image_layer`.
      platforms: platforms to build the image for, in one index. The default is the target platform only, without an index.
      **kwargs: further attributes of `image_manifest`.
    """
    path = path or "/app/"
    if path.endswith("/"):
        path += native.package_relative_label(binary).name.split("/")[-1]
    common = {k: kwargs[k] for k in ["tags", "testonly", "visibility", "target_compatible_with"] if k in kwargs}
    of_index = dict(common)
    manifest = name
    if platforms:
        manifest += "_manifest"
        for push in ["push_gate", "push_specs"]:
            if push in kwargs:
                of_index[push] = kwargs.pop(push)

        # The platform that is not asked for may be one that the program is not for.
        common["tags"] = common.get("tags", []) + ["manual"]
        kwargs["tags"] = common["tags"]
    image_layer(
        name = name + "_layer",
        srcs = {path: binary},
        compress = compress,
        include_runfiles = include_runfiles,
        owner = owner,
        **common
    )
    image_manifest(
        name = manifest,
        base = base,
        entrypoint = [path] if entrypoint == None else entrypoint,
        layers = layers + [":" + name + "_layer"],
        **kwargs
    )
    if platforms:
        image_index(
            name = name,
            manifests = [":" + manifest],
            platforms = platforms,
            **of_index
        )
