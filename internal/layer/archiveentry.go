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

// checkEntry refuses what container engines do not unpack, or each in another way.
// One that is written anew may be what it is to be before that.
func checkEntry(h *tar.Header, anew bool) error {
	name := quoted(h.Name)
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeSymlink, tar.TypeLink, tar.TypeChar, tar.TypeBlock, tar.TypeDir, tar.TypeFifo:
	case tar.TypeXGlobalHeader:
		return checkGlobal(h)
	case tar.TypeGNUSparse:
		if !anew {
			return fmt.Errorf("%s is a sparse file in GNU tar's own format, which container engines do not unpack; "+
				"set compress, which writes the archive anew with the whole file, or make it without --sparse", name)
		}
	case volumeLabel:
		if anew {
			return nil
		}
		return fmt.Errorf("%s is a volume label, which container engines do not unpack; "+
			"set compress, which writes the archive anew without the label, or make it without --label", name)
	case volumePart:
		return fmt.Errorf("%s continues a file of another volume, which container engines do not unpack; make the archive without --multi-volume", name)
	case dumpedDir:
		return fmt.Errorf("%s is a directory of an incremental archive, which container engines do not unpack; make it without --incremental or --listed-incremental", name)
	default:
		return fmt.Errorf("%s has the type %q, which container engines do not unpack; make the archive with tar --format=posix", name, h.Typeflag)
	}
	if isSparse(h) && !isKnownSparse(h) {
		return fmt.Errorf("%s is a sparse file of an unknown form; make the archive without --sparse", name)
	}
	if h.Uid < 0 || h.Uid > maxID || h.Gid < 0 || h.Gid > maxID {
		return fmt.Errorf("the owner of %s is %d:%d, but both numbers must be between 0 and %d", name, h.Uid, h.Gid, maxID)
	}
	return checkPaths(h)
}

// isSparse tells whether an entry is a file with holes, which is more than what
// the archive has of it.
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
			return fmt.Errorf("a global pax header sets %q for all files: tar obeys it, but container engines do not; make the archive without it", key)
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
		return fmt.Errorf("the path %s is the root, so the entry must be a directory", name)
	}
	switch base := path.Base(h.Name); base {
	case ".wh.", ".wh..", ".wh...":
		return fmt.Errorf("the path %s begins with .wh., as a whiteout does, but names nothing to delete", name)
	}
	switch h.Typeflag {
	case tar.TypeSymlink:
		if n := len(h.Linkname); n == 0 || n > longestPath {
			return fmt.Errorf("the symbolic link %s has a target of %d bytes, but must have 1 to %d", name, n, longestPath)
		}
	case tar.TypeLink:
		if err := checkPath(h.Linkname); err != nil {
			return fmt.Errorf("the hard link %s leads to %s, a path that %w", name, quoted(h.Linkname), err)
		}
		if path.Clean("/"+h.Linkname) == path.Clean("/"+h.Name) {
			return fmt.Errorf("%s is a hard link to itself, so container engines would delete the file. It was named twice when the archive was made: name it once, or use tar --hard-dereference", name)
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
			return fmt.Errorf("leads out of the image: some tools refuse it, and others put the file elsewhere; make the archive from the right folder (tar --directory)")
		}
		if len(element) > longestName {
			return fmt.Errorf("has a name of %d bytes, but Linux allows %d", len(element), longestName)
		}
	}
	if len(p) > longestPath {
		return fmt.Errorf("has %d bytes, but Linux allows %d", len(p), longestPath)
	}
	return nil
}
