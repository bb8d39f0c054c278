package image_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/image"
)

const inherited = image.InheritFromBase

func TestABasesProgramIsReplacedTakenAwayOrContinued(t *testing.T) {
	for name, row := range map[string]struct {
		spec            image.Spec
		entrypoint, cmd []string
	}{
		"as it is":                             {image.Spec{}, []string{"/run", "-x"}, []string{"serve"}},
		"another entrypoint":                   {image.Spec{Entrypoint: []string{"/app"}}, []string{"/app"}, nil},
		"another entrypoint, the same command": {image.Spec{Entrypoint: []string{"/app"}, Cmd: []string{inherited}}, []string{"/app"}, []string{"serve"}},
		"another command":                      {image.Spec{Cmd: []string{"work"}}, []string{"/run", "-x"}, []string{"work"}},
		"both others":                          {image.Spec{Entrypoint: []string{"/app"}, Cmd: []string{"work"}}, []string{"/app"}, []string{"work"}},
		"no entrypoint":                        {image.Spec{Unset: []string{"Entrypoint"}}, nil, nil},
		"no entrypoint, the same command":      {image.Spec{Unset: []string{"Entrypoint"}, Cmd: []string{inherited}}, nil, []string{"serve"}},
		"no entrypoint, another command":       {image.Spec{Unset: []string{"Entrypoint"}, Cmd: []string{"work"}}, nil, []string{"work"}},
		"no command":                           {image.Spec{Unset: []string{"Cmd"}}, []string{"/run", "-x"}, nil},
		"neither":                              {image.Spec{Unset: []string{"Cmd", "Entrypoint"}}, nil, nil},
		"words around the entrypoint":          {image.Spec{Entrypoint: []string{"tini", "--", inherited, "-y"}}, []string{"tini", "--", "/run", "-x", "-y"}, []string{"serve"}},
		"words after the command":              {image.Spec{Cmd: []string{inherited, "--all"}}, []string{"/run", "-x"}, []string{"serve", "--all"}},
		"a command that begins with the old entrypoint's end": {
			image.Spec{Entrypoint: []string{"/app"}, Cmd: []string{inherited, "--all"}}, []string{"/app"}, []string{"serve", "--all"},
		},
	} {
		row.spec.Base = baseOf(t, []byte(`{"os":"linux","architecture":"amd64","config":{"Entrypoint":["/run","-x"],"Cmd":["serve"]},`+oneLayer+`}`))
		_, _, config := assemble(t, row.spec)
		if diff := cmp.Diff(v1.Config{Entrypoint: row.entrypoint, Cmd: row.cmd}, config.Config); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWordsAreContinuedOfABaseThatHasNone(t *testing.T) {
	_, _, config := assemble(t, image.Spec{Platform: "linux/amd64", Entrypoint: []string{"tini", inherited}, Cmd: []string{inherited}, Unset: []string{"User"}})
	if diff := cmp.Diff(v1.Config{Entrypoint: []string{"tini"}}, config.Config); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
}

func TestTextsOfABaseAreTakenAway(t *testing.T) {
	base := baseOf(t, []byte(`{"os":"linux","architecture":"amd64","config":{"User":"a","WorkingDir":"/a","StopSignal":"SIGINT"},`+oneLayer+`}`))
	_, _, config := assemble(t, image.Spec{Base: base, Unset: []string{"StopSignal", "User", "WorkingDir"}})
	if diff := cmp.Diff(v1.Config{}, config.Config); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	if _, err := image.Assemble(image.Spec{Base: base, Unset: []string{"Env"}}); err == nil || !strings.Contains(err.Error(), `"Env" cannot be unset`) {
		t.Errorf("the error is %v", err)
	}
}

func TestVariablesAndLabelsOfABaseAreTakenAwayByName(t *testing.T) {
	for name, row := range map[string]struct {
		spec   image.Spec
		env    []string
		labels map[string]string
	}{
		"one of each": {
			image.Spec{UnsetEnv: []string{"DEBUG"}, UnsetLabels: []string{"org.a"}},
			[]string{"PATH=/bin", "DEBUG_A=1", "X_DEBUG="}, map[string]string{"org.a.b": "2", "net": "3"},
		},
		"by patterns": {
			image.Spec{UnsetEnv: []string{"DEBUG*", "*_DEBUG"}, UnsetLabels: []string{"o*.a*"}},
			[]string{"PATH=/bin"}, map[string]string{"net": "3"},
		},
		"all": {image.Spec{UnsetEnv: []string{"*"}, UnsetLabels: []string{"**"}}, nil, nil},
		"some that are not there": {
			image.Spec{UnsetEnv: []string{"BUG", "DEBUG_", "", "path"}, UnsetLabels: []string{"a", "n*n", "o*.a*.b*b"}},
			[]string{"PATH=/bin", "DEBUG=1", "DEBUG_A=1", "X_DEBUG="}, map[string]string{"org.a": "1", "org.a.b": "2", "net": "3"},
		},
		"and set again": {
			image.Spec{UnsetEnv: []string{"*"}, UnsetLabels: []string{"*"}, Env: []string{"OLD=${PATH}", "DEBUG=2"}, Labels: map[string]string{"net": "4"}},
			[]string{"OLD=/bin", "DEBUG=2"}, map[string]string{"net": "4"},
		},
	} {
		row.spec.Base = baseOf(t, []byte(`{"os":"linux","architecture":"amd64","config":{"Env":["PATH=/bin","DEBUG=1","DEBUG_A=1","X_DEBUG="],"Labels":{"org.a":"1","org.a.b":"2","net":"3"}},`+oneLayer+`}`))
		_, _, config := assemble(t, row.spec)
		if diff := cmp.Diff(v1.Config{Env: row.env, Labels: row.labels}, config.Config); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	_, err := image.Assemble(image.Spec{Platform: "linux/amd64", UnsetEnv: []string{"A=1"}})
	if err == nil || !strings.Contains(err.Error(), `environment variable "A=1" cannot be unset: give only its name, without =`) {
		t.Errorf("the error is %v", err)
	}
}
