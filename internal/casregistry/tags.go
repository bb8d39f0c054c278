package casregistry

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
)

// serveTags lists a repository's tags (distribution spec, "Listing Tags").
func (r *Registry) serveTags(c *call) error {
	if c.reference != "list" || c.req.Method != http.MethodGet {
		return notAllowed()
	}
	if err := r.mayRead(c, c.repository); err != nil {
		return err
	}
	tags, found, err := r.folder.tags(c.repository)
	if err != nil {
		return err
	}
	if !found {
		return &refusal{status: http.StatusNotFound, code: "NAME_UNKNOWN", message: "the registry has no repository of this name"}
	}
	query := c.req.URL.Query()
	if last := query.Get("last"); last != "" {
		tags = slices.DeleteFunc(tags, func(tag string) bool { return tag <= last })
	}
	if n, err := strconv.Atoi(query.Get("n")); err == nil && n >= 0 && n < len(tags) {
		tags = tags[:n]
		if n > 0 {
			c.w.Header().Set("Link", fmt.Sprintf("</v2/%s/tags/list?n=%d&last=%s>; rel=\"next\"", c.repository, n, tags[n-1]))
		}
	}
	c.w.Header().Set("Content-Type", "application/json")
	return json.MarshalWrite(c.w, struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}{c.repository, append([]string{}, tags...)})
}
