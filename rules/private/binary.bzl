"""image_from_binary: the image of one program."""

load(":layer.bzl", "image_layer")
load(":manifest.bzl", "image_manifest")

def image_from_binary(name, binary, base = None, path = None, layers = [], entrypoint = None, compress = "", **kwargs):
    """The image of one program: its executable with its runfiles in a layer, and the entrypoint set to it.

    ```starlark
    image_from_binary(
        name = "server_image",
        base = "@distroless",
        binary = "//cmd/server",
    )
    ```

    The layer is a target of its own, `NAME_layer`.

    Args:
      name: the image's name.
      binary: the program: any executable target.
      base: the image below.
      path: where the program goes; `/app/` and the name of the target by default.
      layers: layers between the base and the program.
      entrypoint: what is run; the program by default.
      compress: see `image_layer`.
      **kwargs: further attributes of `image_manifest`.
    """
    path = path or "/app/" + native.package_relative_label(binary).name.split("/")[-1]
    common = {k: kwargs[k] for k in ["tags", "testonly", "visibility", "target_compatible_with"] if k in kwargs}
    image_layer(
        name = name + "_layer",
        srcs = {path: binary},
        compress = compress,
        **common
    )
    image_manifest(
        name = name,
        base = base,
        entrypoint = entrypoint or [path],
        layers = layers + [":" + name + "_layer"],
        **kwargs
    )
