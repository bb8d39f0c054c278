package rulesdoc

import "testing"

func TestADocstringFitsIntoACell(t *testing.T) {
	for doc, want := range map[string]string{
		"One line.":                                   "One line.",
		"Lines that\n  belong together.":              "Lines that belong together.",
		"A paragraph.\n\nAnother.":                    "A paragraph.<br><br>Another.",
		"Items:\n\n- one,\n- two.\n\nAnd after.":      "Items:<br>• one,<br>• two.<br><br>And after.",
		"`a|b` or c|d":                                `` + "`a\\|b` or c\\|d",
		"A <placeholder>, and `<this>` one.":          "A &lt;placeholder>, and `<this>` one.",
		"Code:\n\n```starlark\nf(\n  x<y|z\n)\n```\n": "Code:<pre>f(&#10;  x&lt;y&#124;z&#10;)</pre>",
	} {
		if got := cell(doc); got != want {
			t.Errorf("cell(%q)\n got %q\nwant %q", doc, got, want)
		}
	}
}

func TestACommentBelongsToTheFlagBelowIt(t *testing.T) {
	comments := commentsOf(`load("x.bzl", "string_flag")

# Not about a flag.

# What it does,
# on two lines.
string_flag(
    name = "first",
    # Inside.
    build_setting_default = "",
)

string_flag(
    name = "second",
    build_setting_default = "",
)
`)
	if comments["first"] != "What it does,\non two lines." || comments["second"] != "" {
		t.Errorf("the comments are %q", comments)
	}
}
