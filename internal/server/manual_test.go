package server

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// eachSetting calls visit for each setting below value, by its key as
// docs/configuration.md writes it: backends[].tls.ca. Of a list it looks at the first
// entry; where there is none, at one of zeros.
func eachSetting(value reflect.Value, prefix string, visit func(key string, value reflect.Value)) {
	for i := range value.NumField() {
		name, options, _ := strings.Cut(value.Type().Field(i).Tag.Get("yaml"), ",")
		if name == "-" {
			continue
		}
		key, inner := prefix+name, value.Field(i)
		if options == "inline" {
			key = strings.TrimSuffix(prefix, ".")
		}
		if inner.Kind() == reflect.Pointer && inner.Type().Elem().Kind() == reflect.Struct {
			inner = first(inner.Type().Elem(), !inner.IsNil(), inner.Elem)
		}
		if inner.Kind() == reflect.Slice && inner.Type().Elem().Kind() == reflect.Struct {
			key += "[]"
			inner = first(inner.Type().Elem(), inner.Len() > 0, func() reflect.Value { return inner.Index(0) })
		}
		if inner.Kind() == reflect.Struct {
			eachSetting(inner, strings.TrimPrefix(key+".", "."), visit)
			continue
		}
		visit(key, inner)
	}
}

func first(t reflect.Type, there bool, get func() reflect.Value) reflect.Value {
	if there {
		return get()
	}
	return reflect.Zero(t)
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
	var keys []string
	eachSetting(reflect.ValueOf(Config{}), "", func(key string, _ reflect.Value) { keys = append(keys, key) })
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
