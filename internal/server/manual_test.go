package server

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// keysOf are the keys of a type's settings, as docs/configuration.md writes them:
// backends[].tls.ca.
func keysOf(t reflect.Type, prefix string) []string {
	var keys []string
	for field := range fields(t) {
		name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if name == "-" {
			continue
		}
		key, inner := prefix+name, field.Type
		if options == "inline" {
			key = strings.TrimSuffix(prefix, ".")
		}
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
			if inner.Kind() == reflect.Slice && inner.Elem().Kind() == reflect.Struct {
				key += "[]"
			}
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			keys = append(keys, keysOf(inner, strings.TrimPrefix(key+".", "."))...)
			continue
		}
		keys = append(keys, key)
	}
	return keys
}

func fields(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

var (
	manualRow = regexp.MustCompile("(?m)^\\| (`[^|]*`) \\|")
	manualKey = regexp.MustCompile("`([^`]+)`")
)

// documented are the keys in the first column of the manual's tables. A key that
// begins with a dot has the beginning of the one before.
func documented(page string) []string {
	var keys []string
	for _, row := range manualRow.FindAllStringSubmatch(page, -1) {
		before := ""
		for _, match := range manualKey.FindAllStringSubmatch(row[1], -1) {
			key := match[1]
			if strings.HasPrefix(key, ".") {
				key = before[:strings.LastIndex(before, ".")] + key
			}
			keys, before = append(keys, key), key
		}
	}
	return keys
}

func TestEverySettingIsInTheManualAndInTheDeployedExample(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	manual, example := documented(read("docs/configuration.md")), read("deploy/drayaged.yaml")
	keys := keysOf(reflect.TypeFor[Config](), "")
	for _, key := range keys {
		if !slices.Contains(manual, key) {
			t.Errorf("docs/configuration.md has no row for %s", key)
		}
		if name := key[strings.LastIndex(key, ".")+1:]; !strings.Contains(example, name+":") {
			t.Errorf("deploy/drayaged.yaml does not have %s", key)
		}
	}
	for _, key := range manual {
		if !slices.Contains(keys, key) {
			t.Errorf("docs/configuration.md has a row for %s, which is no setting", key)
		}
	}
	if len(keys) < 50 {
		t.Errorf("only %d settings were found", len(keys))
	}
}
