package sqldbtest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// binEnv names the environment variable that holds the folder of PostgreSQL's
// programs (initdb, postgres, pg_dump).
const binEnv = "DRAYAGE_PG_BIN"

// debian is where Debian's postgresql package has its programs, by version.
const debian = "/usr/lib/postgresql/*/bin"

// binFolder is the folder that [binEnv] names, if any.
func binFolder() string { return os.Getenv(binEnv) }

// find is the path of one of PostgreSQL's programs: in folder if one is given, or
// the newest that Debian's package has installed.
func find(folder, program string) (string, error) {
	if folder != "" {
		path := filepath.Join(folder, program)
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("find PostgreSQL: %s has no %s", folder, program)
		}
		return path, nil
	}
	folders, err := filepath.Glob(debian)
	if err != nil {
		return "", fmt.Errorf("find PostgreSQL: %w", err)
	}
	slices.SortFunc(folders, func(a, b string) int { return version(b) - version(a) })
	for _, folder := range folders {
		path := filepath.Join(folder, program)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("find PostgreSQL: there is no %s in %s: install the package postgresql, or set %s to the folder of its programs",
		program, debian, binEnv)
}

// version is the 15 of /usr/lib/postgresql/15/bin.
func version(folder string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(folder)))
	if err != nil {
		return 0
	}
	return n
}
