package rulesdoc

import "strings"

// Undocumented names everything public without a docstring.
func (r Reference) Undocumented() []string {
	var missing []string
	for _, m := range r.Modules {
		if strings.TrimSpace(m.Doc) == "" {
			missing = append(missing, m.File)
		}
		for _, s := range m.Symbols {
			missing = append(missing, undocumented(m.File+": "+s.Name, s)...)
		}
	}
	for _, s := range r.Settings {
		if s.Doc == "" {
			missing = append(missing, "settings/BUILD.bazel: "+s.Name)
		}
	}
	return missing
}

func undocumented(name string, s Symbol) []string {
	var missing []string
	if strings.TrimSpace(s.Doc) == "" {
		missing = append(missing, name)
	}
	for _, f := range s.Fields {
		if strings.TrimSpace(f.Doc) == "" {
			missing = append(missing, name+"."+f.Name)
		}
	}
	for _, tag := range s.Tags {
		missing = append(missing, undocumented(name+"."+tag.Name, tag)...)
	}
	return missing
}
