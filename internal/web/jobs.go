package web

import (
	"cmp"
	"context"
	"net/http"

	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/store"
)

// jobs answers with one page of the jobs that have not ended.
func (h *handler) jobs(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	wanted, err := operator.DecodePage(values, "invocation", "after")
	if err != nil {
		badQuery(w, err)
		return
	}
	list, err := h.Source.Jobs(r.Context(), values.Get("invocation"), wanted.After, wanted.Limit)
	if err != nil {
		h.broken(w, r, err)
		return
	}
	page := operator.JobPage{Jobs: []operator.Job{}}
	for _, status := range list {
		page.Jobs = append(page.Jobs, job(status))
	}
	// One that ended while the list was read is not in it, so a page may be short
	// and not be the last.
	if len(list) > 0 {
		page.Next = list[len(list)-1].ID
	}
	found(w, page)
}

func job(status store.JobStatus) operator.Job {
	return operator.Job{
		ID: status.ID, State: string(status.State), Action: cmp.Or(string(status.Job.Action), "push"),
		InvocationID: status.Job.Invocation, Target: status.Job.Target, Configuration: status.Job.Configuration, Aspect: status.Job.Aspect,
		SpecDigest: status.Job.Spec.Digest(), Client: status.Job.Client,
		Since: status.Since, Next: status.Next, Failures: status.Failures, Error: status.Error, Daemon: status.Daemon,
	}
}

// act does something with the jobs that the body selects.
func (h *handler) act(with func(context.Context, store.Selection) (int, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		selection, ok := readSelection(w, r)
		if !ok {
			return
		}
		jobs, err := with(r.Context(), selection)
		if err != nil {
			h.broken(w, r, err)
			return
		}
		h.acted(r, selection, jobs)
		found(w, operator.Acted{Jobs: jobs})
	}
}

// requeue begins the selected jobs anew.
func (h *handler) requeue(w http.ResponseWriter, r *http.Request) {
	selection, ok := readSelection(w, r)
	if !ok {
		return
	}
	begun, gone, err := h.Source.Requeue(r.Context(), selection)
	if err != nil {
		h.broken(w, r, err)
		return
	}
	h.acted(r, selection, begun)
	found(w, operator.Acted{Jobs: begun, Gone: gone})
}

// acted writes down that somebody interfered.
func (h *handler) acted(r *http.Request, selection store.Selection, jobs int) {
	h.Logger.Info().Str("path", r.URL.Path).Str("client", h.client(r)).Int64("job", selection.Job).Str("invocation", selection.Invocation).
		Str("target", selection.Target).Bool("all", selection.All).Int("jobs", jobs).Msg("an operator acted on jobs")
}

func readSelection(w http.ResponseWriter, r *http.Request) (store.Selection, bool) {
	var selection operator.Selection
	if !readBody(w, r, &selection) {
		return store.Selection{}, false
	}
	if selection == (operator.Selection{}) || selection.Job < 0 {
		problem(w, http.StatusBadRequest, "No job is selected", "select jobs by their number, invocation or target, or select all")
		return store.Selection{}, false
	}
	return store.Selection(selection), true
}
