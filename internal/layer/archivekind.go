package layer

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// whatIsTaken is the advice for what nobody has better advice for.
const whatIsTaken = "give a tar archive, plain or compressed with gzip, zstd, xz or bzip2"

// kinds are files that are no tar archives, by how they begin.
var kinds = []struct{ begins, what, todo string }{
	{"\x7fELF", "an ELF program or library", oneFile},
	{"MZ", "a Windows program", oneFile},
	{"\xcf\xfa\xed\xfe", "a macOS program", oneFile},
	{"\xce\xfa\xed\xfe", "a macOS program", oneFile},
	{"\xca\xfe\xba\xbe", "a macOS program or a Java class", oneFile},
	{"#!", "a script", oneFile},
	{"%PDF-", "a PDF document", oneFile},
	{"\x89PNG", "a PNG picture", oneFile},
	{"SQLite format 3", "an SQLite database", oneFile},

	{"PK\x03\x04", "a zip archive", "unpack it, and make a tar archive of its files"},
	{"PK\x05\x06", "an empty zip archive", whatIsTaken},
	{"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it, and make a tar archive of its files"},
	{"Rar!\x1a\x07", "a rar archive", "unpack it, and make a tar archive of its files"},
	{"07070", "a cpio archive", "unpack it, and make a tar archive of its files"},
	{"\xed\xab\xee\xdb", "an RPM package", "unpack it, and make a tar archive of its files"},
	{"!<arch>\ndebian-binary", "a Debian package", "extract its data.tar (ar -x), and give that"},
	{"!<arch>\n", "an ar archive or a static library", oneFile},
	{"hsqs", "a squashfs file system", "unpack it, and make a tar archive of its files"},

	{"\x1f\x8b", "compressed with gzip", unpackAgain},
	{"\x28\xb5\x2f\xfd", "compressed with zstd", unpackAgain},
	{xzMagic, "compressed with xz", unpackAgain},
	{"BZh", "compressed with bzip2, but broken", unpackAgain},
	{"\x04\x22\x4d\x18", "compressed with lz4", packedOtherwise},
	{"\x02\x21\x4c\x18", "compressed with lz4", packedOtherwise},
	{"\x89LZO\x00", "compressed with lzop", packedOtherwise},
	{"LZIP", "compressed with lzip", packedOtherwise},
	{"\x5d\x00\x00", "compressed with lzma", packedOtherwise},
	{"\x1f\x9d", "compressed with compress", packedOtherwise},
	{"\xff\x06\x00\x00sNaPpY", "compressed with snappy", packedOtherwise},

	{"version https://git-lfs.github.com/spec/", "a Git LFS pointer, not the file itself", "fetch the file with git lfs pull"},
}

const (
	oneFile         = "put a single file into an image_layer"
	packedOtherwise = "compress it with gzip, zstd, xz or bzip2 instead"
	unpackAgain     = "it was compressed twice: unpack it once"
)

// kindOf says what the file is that begins so, and what to do with it.
func kindOf(start []byte) (what, todo string) {
	if len(start) == 0 {
		return "an empty file", "even an empty archive has blocks of zeros; check how the file was fetched or made"
	}
	for _, kind := range kinds {
		if bytes.HasPrefix(start, []byte(kind.begins)) {
			return kind.what, kind.todo
		}
	}
	if !isText(start) {
		return fmt.Sprintf("something that begins with the bytes %x", start[:min(8, len(start))]), whatIsTaken
	}
	text := strings.ToLower(strings.TrimSpace(strings.TrimPrefix(string(start), "\ufeff")))
	switch {
	case strings.HasPrefix(text, "<!doctype html"), strings.HasPrefix(text, "<html"):
		return "an HTML page", "if it was fetched, its address answered with a page instead of the file"
	case strings.HasPrefix(text, "<"):
		return "XML", "if it was fetched, its address answered with an error instead of the file"
	case strings.HasPrefix(text, "{"), strings.HasPrefix(text, "["):
		return "JSON", "if it was fetched, its address answered with an error instead of the file"
	}
	return "text", oneFile
}

// isText tells whether what a file begins with can be read. Its last character may
// be cut.
func isText(start []byte) bool {
	for len(start) > 0 {
		r, size := utf8.DecodeRune(start)
		if r == utf8.RuneError && size == 1 {
			return len(start) < utf8.UTFMax && !utf8.FullRune(start)
		}
		if unicode.IsControl(r) && !strings.ContainsRune("\t\n\f\r\x1b", r) {
			return false
		}
		start = start[size:]
	}
	return true
}
