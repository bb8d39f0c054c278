package loopback

import "testing"

func TestThisMachineIsToldFromOthers(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost":               true,
		"LOCALHOST":               true,
		"localhost.":              true,
		"localhost:5000":          true,
		"registry.localhost:5000": true,
		"127.0.0.1":               true,
		"127.9.9.9:80":            true,
		"::1":                     true,
		"[::1]":                   true,
		"[::1]:5000":              true,
		"::ffff:127.0.0.1":        true,
		"::1%lo":                  true,
		"":                        false,
		"0.0.0.0":                 false,
		"10.0.0.1":                false,
		"::":                      false,
		"notlocalhost":            false,
		"localhost.example":       false,
		"127.0.0.1.example":       false,
		"registry.example:5000":   false,
	} {
		if got := Is(host); got != want {
			t.Errorf("Is(%q) = %v, want %v", host, got, want)
		}
	}
}
