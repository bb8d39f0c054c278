// Package rulesdoc writes the reference of the Starlark rules, docs/rules, from
// their docstrings, and the table of their settings in docs/settings.md from the
// comments of rules/settings/BUILD.bazel. Bazel itself reads the rules: its
// starlark_doc_extract evaluates each public file and says what is in it.
package rulesdoc
