package image

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// form is the one way in which an object of a config or a manifest is written. What
// it does not name comes last, in the order in which it was found.
type form struct {
	// names are the members that come first, in their order. They are left out where
	// they are empty (null, false, 0, "", [] or {}), which means the same there.
	names []string
	// always are those of names that are there even so.
	always []string
	// byName has all members in the order of their names.
	byName bool
	// members are the forms of members that are objects.
	members map[string]*form
	// elements are the forms of what is in members that are lists.
	elements map[string]*form
}

var byName = &form{byName: true}

// configForm is that of a config: the OCI image spec's fields ("Image Configuration",
// "Properties"), and docker's (moby's image.V1Image and container.Config).
var configForm = &form{
	names: []string{
		"architecture", "author", "container", "created", "docker_version", "history", "os", "rootfs", "config",
		"os.version", "variant", "os.features",
	},
	always: []string{"architecture", "created", "os", "rootfs", "config"},
	members: map[string]*form{
		"config": {
			names: []string{
				"AttachStderr", "AttachStdin", "AttachStdout", "Cmd", "Healthcheck", "Domainname", "Entrypoint", "Env", "Hostname",
				"Image", "Labels", "OnBuild", "OpenStdin", "StdinOnce", "Tty", "User", "Volumes", "WorkingDir", "ExposedPorts",
				"ArgsEscaped", "NetworkDisabled", "MacAddress", "StopSignal", "Shell",
			},
			always: []string{"Healthcheck"},
			members: map[string]*form{
				"Healthcheck":  {names: []string{"Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"}},
				"Labels":       byName,
				"Volumes":      byName,
				"ExposedPorts": byName,
			},
		},
		"rootfs": {names: []string{"type", "diff_ids"}, always: []string{"type", "diff_ids"}},
	},
	elements: map[string]*form{
		"history": {names: []string{"author", "created", "created_by", "comment", "empty_layer"}},
	},
}

// descriptorForm is that of a descriptor (OCI image spec, "Content Descriptors").
var descriptorForm = &form{
	names:   []string{"mediaType", "size", "digest", "data", "urls", "annotations", "platform", "artifactType"},
	always:  []string{"mediaType", "size", "digest"},
	members: map[string]*form{"annotations": byName},
}

// manifestForm is that of a manifest (OCI image spec, "Image Manifest").
var manifestForm = &form{
	names:   []string{"schemaVersion", "mediaType", "config", "layers", "annotations"},
	always:  []string{"schemaVersion", "mediaType", "config", "layers"},
	members: map[string]*form{"config": descriptorForm, "annotations": byName},
	elements: map[string]*form{
		"layers": descriptorForm,
	},
}

// write writes an object in its form.
func (f *form) write(o object) (jsontext.Value, error) {
	arranged := f.arrange(o)
	for i := range arranged {
		if err := f.writeMember(&arranged[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", clip(arranged[i].name), err)
		}
	}
	return json.Marshal(arranged, written)
}

// arrange puts the members in their order, and leaves out those that say nothing.
func (f *form) arrange(o object) object {
	if f.byName {
		return slices.SortedStableFunc(slices.Values(o), func(a, b member) int { return strings.Compare(a.name, b.name) })
	}
	arranged := make(object, 0, len(o))
	for _, name := range f.names {
		value := o.get(name)
		if value != nil && !f.drops(name, value) {
			arranged = append(arranged, member{name, value})
		}
	}
	for _, m := range o {
		if !slices.Contains(f.names, m.name) {
			arranged = append(arranged, m)
		}
	}
	return arranged
}

func (f *form) drops(name string, value jsontext.Value) bool {
	if slices.Contains(f.always, name) {
		return value.Kind() == jsontext.KindNull
	}
	return slices.Contains([]string{"null", "false", "0", `""`, "[]", "{}"}, string(value))
}

// writeMember writes a member in the form that it has, if it has one.
func (f *form) writeMember(m *member) (err error) {
	if inner := f.members[m.name]; inner != nil && m.value.Kind() == jsontext.KindBeginObject {
		m.value, err = inner.writeValue(m.value)
	}
	if inner := f.elements[m.name]; inner != nil && m.value.Kind() == jsontext.KindBeginArray {
		return eachObject(m, inner.writeValue)
	}
	return err
}

// eachObject rewrites the objects of a member that is a list.
func eachObject(m *member, rewrite func(jsontext.Value) (jsontext.Value, error)) error {
	list, err := readList(m.value)
	if err != nil {
		return err
	}
	for i := range list {
		if list[i].Kind() != jsontext.KindBeginObject {
			continue
		}
		if list[i], err = rewrite(list[i]); err != nil {
			return err
		}
	}
	m.value, err = json.Marshal(list, written)
	return err
}

func (f *form) writeValue(value jsontext.Value) (jsontext.Value, error) {
	o, err := readObject(value)
	if err != nil {
		return nil, err
	}
	return f.write(o)
}

// spell gives members that differ from a name of the form in upper and lower case
// alone that name: programs in Go take them for it.
func (f *form) spell(o object) error {
	for i := range o {
		m := &o[i]
		right := slices.IndexFunc(f.names, func(name string) bool { return strings.EqualFold(name, m.name) })
		if right >= 0 && f.names[right] != m.name {
			if o.get(f.names[right]) != nil {
				return fmt.Errorf("it has both %q and %q, which programs read as the same field", f.names[right], clip(m.name))
			}
			m.name = f.names[right]
		}
		if err := f.spellMember(m); err != nil {
			return fmt.Errorf("%s: %w", clip(m.name), err)
		}
	}
	return nil
}

func (f *form) spellMember(m *member) (err error) {
	if inner := f.members[m.name]; inner != nil && m.value.Kind() == jsontext.KindBeginObject {
		m.value, err = inner.spellValue(m.value)
	}
	if inner := f.elements[m.name]; inner != nil && m.value.Kind() == jsontext.KindBeginArray {
		return eachObject(m, inner.spellValue)
	}
	return err
}

func (f *form) spellValue(value jsontext.Value) (jsontext.Value, error) {
	o, err := readObject(value)
	if err != nil {
		return nil, err
	}
	if err := f.spell(o); err != nil {
		return nil, err
	}
	return json.Marshal(o, written)
}
