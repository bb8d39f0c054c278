package layer

import (
	"archive/tar"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// maxID is the largest user or group id that the kernel takes.
const maxID = 1<<32 - 2

// set reads one attribute of a list's line: "uid=1000".
func (a *Attributes) set(field string) error {
	name, value, found := strings.Cut(field, "=")
	if !found {
		return fmt.Errorf("%q must be NAME=value; a path must not contain a tab", field)
	}
	switch name {
	case "uid", "gid":
		id, err := strconv.ParseUint(value, 10, 32)
		if err != nil || id > maxID {
			return fmt.Errorf("%s %q must be the number of a user or group", name, value)
		}
		if name == "uid" {
			a.uid = int(id)
		} else {
			a.gid = int(id)
		}
		return nil
	case "mtime":
		mtime, err := parseTime(value)
		a.modTime = mtime
		return err
	}
	attribute, found := strings.CutPrefix(name, "xattr:")
	if !found || attribute == "" {
		return fmt.Errorf("%q must be uid, gid, mtime or xattr:NAME", name)
	}
	decoded, err := decodeXattr(value)
	if err != nil {
		return fmt.Errorf("extended attribute %s: %w", attribute, err)
	}
	if a.xattrs == nil {
		a.xattrs = map[string]string{}
	}
	a.xattrs[attribute] = decoded
	return nil
}

// parseTime reads seconds since the epoch, or a time as RFC 3339 has it.
func parseTime(text string) (time.Time, error) {
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Unix(seconds, 0).UTC(), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("time %q must be seconds since 1970 or a time such as 2006-01-02T15:04:05Z", text)
	}
	return t.UTC().Truncate(time.Second), nil
}

// decodeXattr reads a value the way that setfattr(1) does: 0x and hexadecimal
// digits, 0s and base64, or the text itself.
func decodeXattr(text string) (string, error) {
	if digits, found := strings.CutPrefix(text, "0x"); found {
		value, err := hex.DecodeString(digits)
		return string(value), err
	}
	if encoded, found := strings.CutPrefix(text, "0s"); found {
		value, err := base64.StdEncoding.DecodeString(encoded)
		return string(value), err
	}
	return text, nil
}

// parseMode reads octal permission bits: "0755".
func parseMode(text string) (fs.FileMode, error) {
	bits, err := strconv.ParseUint(text, 8, 32)
	if err != nil || bits > 0o7777 {
		return 0, fmt.Errorf("mode %q must be octal permission bits such as 0644", text)
	}
	return fs.FileMode(bits), nil
}

// header is the entry's, but for what depends on the content.
func (e Entry) header() *tar.Header {
	h := &tar.Header{
		Typeflag: tar.TypeReg,
		Name:     e.path,
		Mode:     int64(e.Mode),
		Uid:      e.uid,
		Gid:      e.gid,
		ModTime:  e.modTime,
	}
	if h.ModTime.IsZero() {
		h.ModTime = epoch
	}
	for name, value := range e.xattrs {
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords["SCHILY.xattr."+name] = value // as GNU tar and star have it
	}
	switch {
	case e.removed:
		h.Name = whiteoutPath(e.path)
	case e.dir:
		h.Typeflag, h.Name = tar.TypeDir, e.path+"/"
	case e.link != "":
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, e.link, 0o777
	}
	return h
}
