package credentials

import "testing"

func TestAKeyFitsTheHostsAndRepositoriesThatItNames(t *testing.T) {
	for _, row := range []struct {
		key, host, repository string
		want                  int
	}{
		{"r.example", "r.example", "acme/app", 1},
		{"r.example/acme", "r.example", "acme/app", 5},
		{"r.example/acme/app", "r.example", "acme/app", 9},
		{"r.example/acme/app/", "r.example", "acme/app", 9},
		{"r.example/acme", "r.example", "acmeapp", -1},
		{"r.example/acme", "r.example", "other/app", -1},
		{"r.example/acme/app/x", "r.example", "acme/app", -1},
		{"r.example/", "r.example", "acme/app", 1},
		{"R.Example", "r.example", "acme/app", 1},
		{"r.example", "R.EXAMPLE", "acme/app", 1},
		{" r.example ", "r.example", "acme/app", 1},
		{"https://r.example", "r.example", "acme/app", 1},
		{"HTTPS://r.example/", "r.example", "acme/app", 1},
		{"http://r.example", "r.example", "acme/app", 1},
		{"https://r.example/v1/", "r.example", "acme/app", 1},
		{"https://r.example/v2/", "r.example", "acme/app", 1},
		{"https://r.example/acme", "r.example", "acme/app", 5},
		{"https://r.example/acme", "r.example", "other/app", 0},
		{"r.example/v2", "r.example", "acme/app", 0},
		{"r.example/v2", "r.example", "v2/app", 3},
		{"r.example:443", "r.example", "acme/app", 1},
		{"https://r.example:443/v2", "r.example", "acme/app", 1},
		{"r.example", "r.example:443", "acme/app", 1},
		{"r.example:5000", "r.example", "acme/app", -1},
		{"r.example", "r.example:5000", "acme/app", -1},
		{"r.example:5000", "r.example:5000", "acme/app", 1},
		// What is for HTTPS is not sent in the clear.
		{"r.example", "r.example:80", "acme/app", -1},
		{"http://r.example", "r.example:80", "acme/app", 1},
		{"[::1]:5000", "[::1]:5000", "acme/app", 1},
		{"[::1]:443", "[::1]", "acme/app", 1},
		{"docker.io", "index.docker.io", "library/app", 1},
		{"index.docker.io", "index.docker.io", "library/app", 1},
		{"https://index.docker.io/v1/", "index.docker.io", "library/app", 1},
		{"index.docker.io/v1/", "index.docker.io", "library/app", 1},
		{"registry-1.docker.io", "index.docker.io", "library/app", 1},
		{"https://registry-1.docker.io/v2/", "index.docker.io", "library/app", 1},
		{"docker.io/library", "index.docker.io", "library/app", 8},
		{"docker.io/acme", "index.docker.io", "library/app", -1},
		{"docker.io.evil.example", "index.docker.io", "library/app", -1},
		{"", "r.example", "acme/app", -1},
		{"https://", "r.example", "acme/app", -1},
	} {
		if got := parseKey(row.key).match(hostNames(row.host, ""), row.repository); got != row.want {
			t.Errorf("%q for %s/%s: %d, want %d", row.key, row.host, row.repository, got, row.want)
		}
	}
}

func FuzzKeys(f *testing.F) {
	f.Add("https://index.docker.io/v1/", "docker.io", "library/app")
	f.Add("[::1]:443/a", "[::1]", "a/b")
	f.Fuzz(func(t *testing.T, text, host, repository string) {
		k := parseKey(text)
		if rank := k.match(hostNames(host, ""), repository); rank > len(repository)+1 {
			t.Errorf("%q fits %s/%s by %d", text, host, repository, rank)
		}
	})
}
