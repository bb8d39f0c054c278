package image

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// decided are the fields that a fragment cannot have, and what decides them.
var decided = map[string]string{
	"architecture": "the image's platform sets it",
	"os":           "the image's platform sets it",
	"variant":      "the image's platform sets it",
	"rootfs":       "the image's layers set it",
	"history":      "the image's layers set it",
}

// merge puts a part of a config over that of the base, as RFC 7396 has it: objects are
// merged, null removes, and everything else is replaced. It returns the time that
// the image bears, or nil if it shall bear none.
func (d *draft) merge(spec Spec) (created jsontext.Value, err error) {
	d.config.remove("created") // the base's is the base's
	created, err = marshal(v1.Time{Time: time.Unix(0, 0).UTC()})
	if !spec.Created.IsZero() {
		created, err = marshal(v1.Time{Time: spec.Created.UTC()})
	}
	if err != nil {
		return nil, fmt.Errorf("created: %w", err)
	}
	if spec.Fragment != nil {
		if created, err = d.mergeFragment(spec, created); err != nil {
			return nil, fmt.Errorf("read config fragment: %w", err)
		}
	}
	if created != nil {
		d.config.put("created", created)
	}
	if d.config.get("config") == nil {
		d.config.put("config", jsontext.Value("{}"))
	}
	return created, nil
}

func (d *draft) mergeFragment(spec Spec, created jsontext.Value) (jsontext.Value, error) {
	fragment, err := readDocument(spec.Fragment, configForm)
	if err != nil {
		return nil, err
	}
	for _, m := range fragment {
		if by := decided[m.name]; by != "" {
			return nil, fmt.Errorf("it must not have %q: %s", m.name, by)
		}
	}
	if given := fragment.get("created"); given != nil {
		if !spec.Created.IsZero() {
			return nil, errors.New(`it has "created", which the attribute created or created_file decides`)
		}
		if created, err = fragmentTime(given); err != nil {
			return nil, err
		}
		fragment.remove("created")
	}
	if d.config, err = patch(d.config, fragment); err != nil {
		return nil, err
	}
	return created, d.check()
}

// fragmentTime is the time that a fragment gives, or nil where it takes it away.
func fragmentTime(given jsontext.Value) (jsontext.Value, error) {
	if given.Kind() == jsontext.KindNull {
		return nil, nil
	}
	var text string
	if err := json.Unmarshal(given, &text); err != nil {
		return nil, errors.New(`its "created" must be a time such as "2006-01-02T15:04:05Z"`)
	}
	if _, err := time.Parse(time.RFC3339, text); err != nil {
		return nil, fmt.Errorf(`its "created", %q, must be a time such as "2006-01-02T15:04:05Z"`, clip(text))
	}
	return given, nil
}

// check refuses a config that programs could not read.
func (d *draft) check() error {
	data, err := configForm.write(d.config)
	if err != nil {
		return err
	}
	if _, err := v1.ParseConfigFile(bytes.NewReader(data)); err != nil {
		return fmt.Errorf("the merged config is invalid: %w", err)
	}
	return nil
}

// patch merges one object into another (RFC 7396, "JSON Merge Patch").
func patch(target, with object) (object, error) {
	target = slices.Clone(target)
	for _, m := range with {
		switch m.value.Kind() {
		case jsontext.KindNull:
			target.remove(m.name)
		case jsontext.KindBeginObject:
			inner, err := readObject(m.value)
			if err != nil {
				return nil, err
			}
			below := object{}
			if old := target.get(m.name); old != nil && old.Kind() == jsontext.KindBeginObject {
				if below, err = readObject(old); err != nil {
					return nil, err
				}
			}
			if below, err = patch(below, inner); err != nil {
				return nil, err
			}
			if err := target.set(m.name, below); err != nil {
				return nil, err
			}
		default:
			target.put(m.name, m.value)
		}
	}
	return target, nil
}
