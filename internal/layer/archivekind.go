package layer

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// whatIsTaken is the advice where there is none that is better.
const whatIsTaken = "give a tar archive: plain, or compressed with gzip, zstd, xz or bzip2"

// kinds are files that are not tar archives, by how they begin.
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
	{"!<arch>\ndebian-binary", "a Debian package", "unpack it with ar -x, and use the data.tar archive from it"},
	{"!<arch>\n", "an ar archive or a static library", oneFile},
	{"hsqs", "a squashfs file system", "unpack it, and make a tar archive of its files"},

	{"\x1f\x8b", "gzip data", unpackAgain},
	{"\x28\xb5\x2f\xfd", "zstd data", unpackAgain},
	{xzMagic, "xz data", unpackAgain},
	{"BZh", "bzip2 data, perhaps damaged", unpackAgain},
	{"\x04\x22\x4d\x18", "lz4 data", packedOtherwise},
	{"\x02\x21\x4c\x18", "lz4 data", packedOtherwise},
	{"\x89LZO\x00", "lzop data", packedOtherwise},
	{"LZIP", "lzip data", packedOtherwise},
	{"\x5d\x00\x00", "lzma data", packedOtherwise},
	{"\x1f\x9d", "data of the program compress", packedOtherwise},
	{"\xff\x06\x00\x00sNaPpY", "snappy data", packedOtherwise},

	{"version https://git-lfs.github.com/spec/", "a Git LFS pointer", "fetch the file with git lfs pull"},
}

const (
	oneFile         = "to put a single file into an image, use image_layer"
	packedOtherwise = "compress it with gzip, zstd, xz or bzip2 instead"
	unpackAgain     = "it was compressed twice: decompress it once"
)

// kindOf says what the file is that begins so, and what to do with it.
func kindOf(start []byte) (what, todo string) {
	if len(start) == 0 {
		return "an empty file", "fetch the file or make it again (even an archive without files has blocks of zeros)"
	}
	for _, kind := range kinds {
		if bytes.HasPrefix(start, []byte(kind.begins)) {
			return kind.what, kind.todo
		}
	}
	if !isText(start) {
		return fmt.Sprintf("a file that begins with the bytes %x", start[:min(8, len(start))]), whatIsTaken
	}
	text := strings.ToLower(strings.TrimSpace(strings.TrimPrefix(string(start), "\ufeff")))
	switch {
	case strings.HasPrefix(text, "<!doctype html"), strings.HasPrefix(text, "<html"):
		return "an HTML page", "if it was downloaded, check the URL: the server sent a page instead of the file"
	case strings.HasPrefix(text, "<"):
		return "XML", "if it was downloaded, check the URL: the server may have sent an error instead of the file"
	case strings.HasPrefix(text, "{"), strings.HasPrefix(text, "["):
		return "JSON", "if it was downloaded, check the URL: the server may have sent an error instead of the file"
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
