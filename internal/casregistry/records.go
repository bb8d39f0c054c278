package casregistry

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// record is a small file: what it says, and on whose account it is kept.
type record struct {
	Value string `json:"value"`
	// Client is empty for what is on nobody's account.
	Client string `json:"client"`
	// Size is what is charged for it, in bytes.
	Size int64 `json:"size"`
}

// record reads a record; found is false if there is none.
func (f folder) record(name string) (kept record, found bool, err error) {
	data, err := f.root.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, false, nil
	}
	if err != nil {
		return record{}, false, err
	}
	if !strings.HasPrefix(string(data), "{") {
		return record{Value: string(data)}, true, nil // from before there were accounts
	}
	if err := json.Unmarshal(data, &kept); err != nil {
		return record{}, false, fmt.Errorf("read %s: %w", name, err)
	}
	return kept, true, nil
}

func (f folder) writeRecord(name string, kept record) error {
	data, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	return f.write(name, data)
}

// eachRecord goes through all records.
func (f folder) eachRecord(do func(name string, kept record) error) error {
	return fs.WalkDir(f.root.FS(), "repositories", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		kept, found, err := f.record(name)
		if err != nil || !found {
			return err
		}
		return do(name, kept)
	})
}

// link is the size of a blob that a repository has.
func (f folder) link(repository string, digest v1.Hash) (size int64, found bool, err error) {
	kept, found, err := f.record(linkPath(repository, digest))
	if !found || err != nil {
		return 0, false, err
	}
	if size, err = strconv.ParseInt(kept.Value, 10, 64); err != nil {
		return 0, false, fmt.Errorf("read the size of %s: %w", digest, err)
	}
	return size, true, nil
}

// changes locks a repository for what writes to it, and keeps what deletes away.
func (r *Registry) changes(repository string) (unlock func()) {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(repository))
	mu := &r.writing[sum.Sum32()%uint32(len(r.writing))]
	r.deleting.RLock()
	mu.Lock()
	return func() {
		mu.Unlock()
		r.deleting.RUnlock()
	}
}

// keepRecord charges for a record, does what has to be done before it, and writes it.
// A record that says the same already stays. The repository is locked.
func (r *Registry) keepRecord(name string, kept record, before func() error) error {
	old, found, err := r.folder.record(name)
	if err != nil || (found && old.Value == kept.Value && old.Size >= kept.Size) {
		return err
	}
	if err := r.accounts.charge(kept.Client, kept.Size); err != nil {
		return err
	}
	err = before()
	if err == nil {
		err = r.folder.writeRecord(name, kept)
	}
	if err != nil {
		r.accounts.add(kept.Client, -kept.Size)
		return err
	}
	r.accounts.add(old.Client, -old.Size)
	return nil
}

// removeRecord deletes a record, and gives back what was charged for it. Nothing else
// writes or deletes meanwhile.
func (r *Registry) removeRecord(name string) (found bool, err error) {
	old, found, err := r.folder.record(name)
	if err != nil || !found {
		return false, err
	}
	if err := r.folder.root.Remove(name); err != nil {
		return false, err
	}
	r.accounts.add(old.Client, -old.Size)
	return true, nil
}

func nothing() error { return nil }

// migrate gives the repositories of a folder from before there were links the blobs that
// their manifests name.
func (f folder) migrate() error {
	const layers = "layers"
	if old, err := f.has(layers); err != nil || !old {
		return err
	}
	repositories, err := f.repositories()
	if err != nil {
		return err
	}
	for _, repository := range repositories {
		manifests, err := f.list(path.Dir(manifestPath(repository, v1.Hash{Hex: "any"})))
		if err != nil {
			return err
		}
		for _, hex := range manifests {
			refers, err := f.references(v1.Hash{Algorithm: "sha256", Hex: hex})
			if err != nil {
				continue // nobody can pull it
			}
			for _, blob := range refers.blobs {
				if err := f.writeRecord(linkPath(repository, blob.digest), record{Value: strconv.FormatInt(blob.size, 10)}); err != nil {
					return err
				}
			}
		}
	}
	return f.root.RemoveAll(layers)
}
