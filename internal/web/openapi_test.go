package web

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/drift"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/store"
)

// schema is as much of a JSON Schema as the document uses for objects.
type schema struct {
	AllOf      []schema          `json:"allOf"`
	Required   []string          `json:"required"`
	Properties map[string]schema `json:"properties"`
	Enum       []string          `json:"enum"`
}

type openAPIShape struct {
	OpenAPI    string                               `json:"openapi"`
	Paths      map[string]map[string]jsontext.Value `json:"paths"`
	Components struct {
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

func readOpenAPI(t *testing.T) openAPIShape {
	t.Helper()
	var document openAPIShape
	if err := json.Unmarshal(openAPIDocument, &document); err != nil {
		t.Fatal(err)
	}
	return document
}

func TestOpenAPIHasEveryRouteAndNoOther(t *testing.T) {
	document := readOpenAPI(t)
	var described, routed []string
	for path, operations := range document.Paths {
		for method := range operations {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	h := &handler{Options: Options{Source: (*store.Store)(nil)}}
	for _, r := range h.routes() {
		routed = append(routed, r.method+" "+r.path)
	}
	slices.Sort(described)
	slices.Sort(routed)
	if diff := cmp.Diff(routed, described); diff != "" {
		t.Errorf("the document differs from the routes (-routed +described):\n%s", diff)
	}
	if document.OpenAPI != "3.1.0" {
		t.Errorf("the document is OpenAPI %s", document.OpenAPI)
	}
}

func TestOpenAPIHasEveryFieldAndNoOther(t *testing.T) {
	schemas := readOpenAPI(t).Components.Schemas
	for name, value := range map[string]any{
		"Entry": ledger.Entry{}, "Manifest": ledger.Manifest{}, "Tag": ledger.Tag{}, "Count": ledger.Count{},
		"Expected": ledger.Expected{}, "Difference": ledger.Difference{}, "Proof": ledger.Proof{},
		"LedgerPage": operator.LedgerPage{}, "InvocationSummary": operator.InvocationSummary{}, "InvocationPage": operator.InvocationPage{},
		"ExpectedSet": operator.ExpectedSet{}, "Comparison": operator.Comparison{}, "VerifyRequest": operator.VerifyRequest{},
		"LogReport": operator.LogReport{}, "LogProblem": operator.LogProblem{}, "Proofs": operator.Proofs{},
		"Job": operator.Job{}, "JobPage": operator.JobPage{}, "Selection": operator.Selection{}, "Acted": operator.Acted{},
		"Copy": operator.Copy{}, "Copied": operator.Copied{},
		"DeadLetter": operator.DeadLetter{}, "DeadLetterPage": operator.DeadLetterPage{}, "Redelivery": operator.Redelivery{},
		"Redelivered": operator.Redelivered{},
		"Registry":    operator.Registry{}, "Pause": operator.Pause{}, "RegistryList": operator.RegistryList{},
		"RegistryRequest": operator.RegistryRequest{}, "PauseLifted": operator.PauseLifted{},
		"Verification": operator.Verification{}, "Drift": drift.Difference{},
		"Release": operator.Release{}, "Decision": operator.Decision{}, "Decided": operator.Decided{},
		"Fence": operator.Fence{}, "FenceList": operator.FenceList{}, "FencedTag": operator.FencedTag{}, "Lifted": operator.Lifted{},
		"Problem": operator.Problem{}, "Invocation": operator.Invocation{},
	} {
		described := schemas[name]
		for _, part := range described.AllOf {
			if part.Properties != nil {
				described = part
			}
		}
		all, always := fields(reflect.TypeOf(value))
		if name == "Entry" { // written by a method
			all = append(all, "durationSeconds")
		}
		slices.Sort(all)
		slices.Sort(always)
		required := slices.Sorted(slices.Values(described.Required))
		if diff := cmp.Diff(all, slices.Sorted(maps.Keys(described.Properties))); diff != "" {
			t.Errorf("%s: the document's fields differ from the type's (-type +document):\n%s", name, diff)
		}
		if diff := cmp.Diff(always, required); diff != "" {
			t.Errorf("%s: the fields that are always there differ (-type +document):\n%s", name, diff)
		}
	}
}

// fields are the JSON names of a type's own fields, and of those that are never
// left out.
func fields(t reflect.Type) (all, always []string) {
	for field := range t.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		all = append(all, name)
		if options == "" {
			always = append(always, name)
		}
	}
	return all, always
}

func TestOpenAPIHasEveryOutcomeAndState(t *testing.T) {
	schemas := readOpenAPI(t).Components.Schemas
	var outcomes []string
	for _, outcome := range ledger.Outcomes() {
		outcomes = append(outcomes, string(outcome))
	}
	if diff := cmp.Diff(outcomes, schemas["Outcome"].Enum); diff != "" {
		t.Errorf("outcomes (-code +document):\n%s", diff)
	}
	states := []string{string(store.JobWaiting), string(store.JobRunning), string(store.JobRetrying), string(store.JobLater)}
	if diff := cmp.Diff(states, schemas["Job"].Properties["state"].Enum); diff != "" {
		t.Errorf("states of a job (-code +document):\n%s", diff)
	}
	actions := []string{"push", string(store.ActionTag), string(store.ActionRestore)}
	if diff := cmp.Diff(actions, schemas["Job"].Properties["action"].Enum); diff != "" {
		t.Errorf("actions of a job (-code +document):\n%s", diff)
	}
	states = []string{string(store.ReleaseWaiting), string(store.ReleaseOpen), string(store.ReleaseClosed)}
	if diff := cmp.Diff(states, schemas["Release"].Properties["state"].Enum); diff != "" {
		t.Errorf("states of a release (-code +document):\n%s", diff)
	}
}
