package layer

import (
	"archive/tar"
	"fmt"
	"path"
	"strings"
)

// Types of GNU tar that the library does not name.
const (
	volumeLabel = 'V'
	volumePart  = 'M'
	dumpedDir   = 'D'
)

const (
	// longestName and longestPath are how long a name and a path may be on Linux, in bytes.
	longestName = 255
	longestPath = 4095
)

// checkEntry refuses entries that container engines do not unpack, or unpack in different ways.
// An entry that is written anew may be anything that can be written anew.
func checkEntry(h *tar.Header, anew bool) error {
	name := quoted(h.Name)
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeSymlink, tar.TypeLink, tar.TypeChar, tar.TypeBlock, tar.TypeDir, tar.TypeFifo:
	case tar.TypeXGlobalHeader:
		return checkGlobal(h)
	case tar.TypeGNUSparse:
		if !anew {
			return fmt.Errorf("%s is a sparse file in GNU tar's own format, which container engines do not unpack; "+
				"make the archive without --sparse, or set compress: the archive is then rewritten with the whole file", name)
		}
	case volumeLabel:
		if anew {
			return nil
		}
		return fmt.Errorf("%s is a volume label, which container engines do not unpack; "+
			"make the archive without --label, or set compress: the archive is then rewritten without the label", name)
	case volumePart:
		return fmt.Errorf("%s is the rest of a file from another volume, and container engines do not unpack it; make the archive without --multi-volume", name)
	case dumpedDir:
		return fmt.Errorf("%s is a directory of an incremental archive, which container engines do not unpack; make the archive without --incremental and --listed-incremental", name)
	default:
		return fmt.Errorf("%s has the entry type %q, which container engines do not unpack; make the archive with tar --format=posix", name, h.Typeflag)
	}
	if isSparse(h) && !isKnownSparse(h) {
		return fmt.Errorf("%s is a sparse file of an unknown format; make the archive without --sparse", name)
	}
	if h.Uid < 0 || h.Uid > maxID || h.Gid < 0 || h.Gid > maxID {
		return fmt.Errorf("the owner of %s is %d:%d, but user and group ids must be 0 to %d; make the archive with --owner and --group", name, h.Uid, h.Gid, maxID)
	}
	return checkPaths(h)
}

// isSparse tells whether an entry is a file with holes. Such a file is larger than
// its data in the archive.
func isSparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return h.Typeflag != tar.TypeXGlobalHeader
		}
	}
	return false
}

// isKnownSparse tells whether the tar reader knows the form of a sparse file. The
// oldest one in pax archives does not name its version.
func isKnownSparse(h *tar.Header) bool {
	switch version := h.PAXRecords["GNU.sparse.major"] + "." + h.PAXRecords["GNU.sparse.minor"]; version {
	case ".":
		return h.Typeflag == tar.TypeGNUSparse || h.PAXRecords["GNU.sparse.map"] != ""
	default:
		return version == "0.0" || version == "0.1" || version == "1.0"
	}
}

// checkGlobal looks at a global header of pax, which is for all entries after it.
// Container engines pass over it, as they may over a comment.
func checkGlobal(h *tar.Header) error {
	for key := range h.PAXRecords {
		if key == "path" || key == "linkpath" || key == "size" || strings.HasPrefix(key, "GNU.sparse.") {
			return fmt.Errorf("a global pax header sets %q for all files, and container engines ignore it; make the archive without that header", key)
		}
	}
	return nil
}

func checkPaths(h *tar.Header) error {
	name := quoted(h.Name)
	if err := checkPath(h.Name); err != nil {
		return fmt.Errorf("the path %s %w", name, err)
	}
	if isRoot := path.Clean("/"+h.Name) == "/"; isRoot && h.Typeflag != tar.TypeDir {
		return fmt.Errorf("the entry %s is the root of the image, so it must be a directory; give it another path", name)
	}
	switch base := path.Base(h.Name); base {
	case ".wh.", ".wh..", ".wh...":
		return fmt.Errorf("the name of %s begins with .wh., so it is a whiteout, but it does not say which file to delete; rename or remove the entry", name)
	}
	switch h.Typeflag {
	case tar.TypeSymlink:
		if n := len(h.Linkname); n == 0 || n > longestPath {
			return fmt.Errorf("the symbolic link %s has a target of %d bytes; it must have 1 to %d", name, n, longestPath)
		}
	case tar.TypeLink:
		if err := checkPath(h.Linkname); err != nil {
			return fmt.Errorf("the hard link %s points to %s, a path that %w", name, quoted(h.Linkname), err)
		}
		if path.Clean("/"+h.Linkname) == path.Clean("/"+h.Name) {
			return fmt.Errorf("%s is a hard link to itself, and container engines would delete the file; when you make the archive, name the file once, or use tar --hard-dereference", name)
		}
	}
	return nil
}

// checkPath refuses a path that leads out of the image, and one that no file can
// have. A leading slash does not matter to anybody.
func checkPath(p string) error {
	depth := 0
	for element := range strings.SplitSeq(p, "/") {
		switch {
		case element == "..":
			depth--
		case element != "" && element != ".":
			depth++
		}
		if depth < 0 {
			return fmt.Errorf("leads out of the image; make the archive from the right folder (tar --directory)")
		}
		if len(element) > longestName {
			return fmt.Errorf("has a name of %d bytes; Linux allows %d", len(element), longestName)
		}
	}
	if len(p) > longestPath {
		return fmt.Errorf("has %d bytes; Linux allows %d", len(p), longestPath)
	}
	return nil
}
