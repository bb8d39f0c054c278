package credentials

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/drayage/drayage/internal/flight"
	"github.com/drayage/drayage/internal/subprocess"
)

// helperProgram is the program of a docker credential helper
// (docker/docker-credential-helpers).
func helperProgram(name string) string { return "docker-credential-" + printable(name) }

// noneFound are the texts, in any case, with which helpers say that they have none.
var noneFound = []string{"credentials not found", "no credentials", "the specified item could not be found in the keychain"}

// errAnswer is an answer that cannot be read. It may contain a secret, so it is not shown.
var errAnswer = errors.New(`gave an answer that does not have the form {"Username": …, "Secret": …}`)

// askHelper asks a docker credential helper. If the helper has no credential, there is
// no error.
func askHelper(ctx context.Context, name, server string, limit time.Duration) (authn.AuthConfig, error) {
	if strings.ContainsAny(name, `/\`) {
		return authn.AuthConfig{}, &subprocess.Error{Path: helperProgram(name), Missing: true, Err: errors.New("must be named without a path")}
	}
	out, err := subprocess.Run(ctx, subprocess.Command{Path: "docker-credential-" + name, Args: []string{"get"}, Input: []byte(server), Limit: limit})
	if failed, ok := errors.AsType[*subprocess.Error](err); ok && failed.Exit != 0 && saysNone(out.Stdout, out.Stderr) {
		return authn.AuthConfig{}, nil
	}
	if err != nil {
		return authn.AuthConfig{}, err
	}
	return readAnswer(out.Stdout)
}

// readAnswer reads what a helper prints.
func readAnswer(printed []byte) (authn.AuthConfig, error) {
	var answer struct {
		Username string `json:"Username"`
		Secret   string `json:"Secret"`
	}
	if err := json.Unmarshal(printed, &answer, json.MatchCaseInsensitiveNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		return authn.AuthConfig{}, errAnswer
	}
	if answer.Secret == "" {
		return authn.AuthConfig{}, nil
	}
	if answer.Username == "<token>" {
		return authn.AuthConfig{IdentityToken: answer.Secret}, nil
	}
	return authn.AuthConfig{Username: answer.Username, Password: answer.Secret}, nil
}

func saysNone(texts ...[]byte) bool {
	for _, text := range texts {
		lower := strings.ToLower(string(text))
		for _, words := range noneFound {
			if strings.Contains(lower, words) {
				return true
			}
		}
	}
	return false
}

// helperError says what to do about a helper that failed.
func helperError(c candidate, err error) error {
	program := helperProgram(c.helper)
	e := &lookupError{err: err, lasts: lasting(err)}
	why := err.Error()
	if failed, ok := errors.AsType[*subprocess.Error](err); ok {
		why = failed.Err.Error()
	} else if limit, ok := errors.AsType[*flight.LimitError](err); ok {
		why = limit.Error()
	}
	if e.lasts {
		e.text = fmt.Sprintf("credential helper %s %s: install it for the user of this process, or remove it from %s", program, why, c.path)
		return e
	}
	e.text = fmt.Sprintf("credential helper %s (in %s) %s: run `echo %s | %s get` to see why", program, c.path, why, printable(c.text), program)
	return e
}
