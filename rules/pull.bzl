"""Base images: `pull = use_repo_rule("@drayage//rules:pull.bzl", "pull")`."""

load("//rules/private:pull.bzl", _pull = "pull")

pull = _pull
