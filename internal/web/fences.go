package web

import (
	"fmt"
	"net/http"

	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

// fences answers with the fences of a repository's tags.
func (h *handler) fences(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	wanted, err := operator.DecodePage(values, "registry", "repository", "tag")
	for _, name := range []string{"registry", "repository"} {
		if err == nil && values.Get(name) == "" {
			err = fmt.Errorf("%s: must be given", name)
		}
	}
	if err != nil {
		badQuery(w, err)
		return
	}
	registry, repository := canonical(values.Get("registry"), values.Get("repository"))
	list, err := h.Source.Fences(r.Context(), registry, repository, values.Get("tag"), wanted.Limit)
	if err != nil {
		h.broken(w, r, err)
		return
	}
	answer := operator.FenceList{Fences: []operator.Fence{}, More: len(list) == wanted.Limit && values.Get("tag") == ""}
	for _, f := range list {
		answer.Fences = append(answer.Fences, fence(f))
	}
	found(w, answer)
}

func fence(f store.Fence) operator.Fence {
	return operator.Fence{
		Registry: f.Registry, Repository: f.Repository, Tag: f.Tag, Digest: f.Digest, InvocationID: f.Invocation, Target: f.Target,
		Started: f.Started, Number: f.Number, Job: f.Job, LiftedBy: f.LiftedBy, Lifted: f.Lifted,
	}
}

// canonical are the names under which tags are fenced.
func canonical(registry, repository string) (string, string) {
	return pushspec.Destination{Registry: registry, Repository: repository}.Address()
}

// liftFence lets any build move a tag.
func (h *handler) liftFence(w http.ResponseWriter, r *http.Request) {
	var asked operator.FencedTag
	if !readBody(w, r, &asked) {
		return
	}
	for _, field := range []struct{ name, value string }{{"registry", asked.Registry}, {"repository", asked.Repository}, {"tag", asked.Tag}} {
		if field.value == "" {
			problem(w, http.StatusBadRequest, "Invalid body", field.name+": must be given")
			return
		}
	}
	registry, repository := canonical(asked.Registry, asked.Repository)
	known, err := h.Source.Fences(r.Context(), registry, repository, asked.Tag, 1)
	if err != nil {
		h.broken(w, r, err)
		return
	}
	name := registry + "/" + repository + ":" + asked.Tag
	if len(known) == 0 {
		problem(w, http.StatusNotFound, "No such fence", fmt.Sprintf("the daemon has written no tag %s; GET %s lists the fences of a repository", name, operator.FencesPath))
		return
	}
	client := h.client(r)
	n, err := h.Source.LiftFence(r.Context(), registry, repository, asked.Tag, client)
	if err != nil {
		h.broken(w, r, err)
		return
	}
	h.Logger.Info().Str("client", client).Str("tag", name).Int("fences", n).Msg("an operator lifted a fence")
	found(w, operator.Lifted{Fences: n})
}
