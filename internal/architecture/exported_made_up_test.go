package architecture

import (
	"slices"
	"strings"
	"testing"
)

func TestNamesThatOnlyTheirHomeUsesAreTold(t *testing.T) {
	m := load(t, write(t, map[string]string{
		"go.mod": "module example.com/house\n\ngo 1.26\n",
		"salt/salt.go": `package salt

import (
	"errors"
	_ "fmt"
)

const (
	Coarse Grain = iota // used
	Fine                // of the same list
)

const Alone = 1

type Grain int

type (
	Mill struct{ Speed, Teeth int; Name string ` + "`json:\"name\"`" + `; Lid Lid }
	Lid    struct{ Wide bool }
	Basket[T any] struct{ Held T; Lost T }
)

func New() Salt { return Salt{} }

type Salt struct{ Clock, Grains int; inner inner }

type inner struct{}

func (Salt) Pour() {}
func (Salt) Spill() {}
func (Salt) String() string { return "" }
func (Salt) Error() string { return "" }
func (Salt) Unwrap() error { return nil }
func (Salt) Lasting() bool { return true }

var Dear bool

func lasts(err error) bool {
	l, ok := err.(interface{ Lasting() bool })
	return ok && l.Lasting() && errors.Is(err, nil) && Dear
}

func Test() {}
func Shown() {}
func Windows() {}
`,
		"salt/salt_test.go": "package salt\n\nvar _ = Alone\n\nfunc init() { Salt{}.Spill() }\n",
		"salt/outer_test.go": `package salt_test

import "example.com/house/salt"

var _ = salt.Salt{Clock: 1}

func init() { salt.Test() }
`,
		"salt/pages/salt.html":      "{{ .Shown }}",
		"salt/salttest/salttest.go": "package salttest\n\nfunc Unused() {}\n",
		"public/public.go":          "package public\n\nfunc Unused() {}\n",
		"meal/meal.go": `package meal

import "example.com/house/salt"

type plate struct{ Speed, Teeth int; Name string; Lid salt.Lid }

func Cook() {
	s := salt.New()
	s.Pour()
	_ = salt.Coarse
	_ = salt.Basket[int]{Held: 1}
	_ = salt.Mill(plate{})
}
`,
		"meal/meal_windows.go": "package meal\n\nimport \"example.com/house/salt\"\n\nfunc init() { salt.Windows() }\n",
		"cook/main.go":         "package main\n\nimport \"example.com/house/meal\"\n\nfunc main() { meal.Cook() }\n",
	}))
	var got []string
	for _, problem := range exportedInVain(t, m, []string{"public"}) {
		_, rest, _ := strings.Cut(problem, "uses ")
		name, _, _ := strings.Cut(rest, ":")
		got = append(got, name)
	}
	want := []string{"Alone", "Lid.Wide", "Basket.Lost", "Salt.Grains", "Salt.Spill", "Dear", "Test"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
