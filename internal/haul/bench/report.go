package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// measurement is one uploader's run of one case.
type measurement struct {
	uploader, name string
	outcome        outcome
	traffic        traffic
}

func (m measurement) print(w io.Writer) {
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(m.traffic.requests)) {
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, m.traffic.requests[kind]))
	}
	fmt.Fprintf(w, "%-6s  %-24s  %6.2f s  cpu %6.2f s  rss %5.1f MiB  up %8.1f MiB  %6d requests (%s)", m.uploader, m.name,
		m.outcome.Wall.Seconds(), m.outcome.CPU.Seconds(), mib(m.outcome.RSS), mib(m.traffic.bytesUp), m.traffic.total(), strings.Join(kinds, ", "))
	if m.traffic.failed > 0 {
		fmt.Fprintf(w, "  %d failed", m.traffic.failed)
	}
	fmt.Fprintln(w)
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// medians keeps of each uploader's runs of a case the one whose wall time is the
// median, with the most requests and the most memory of all of them.
func medians(all []measurement) []measurement {
	type key struct{ uploader, name string }
	var order []key
	runs := map[key][]measurement{}
	for _, m := range all {
		k := key{m.uploader, m.name}
		if runs[k] == nil {
			order = append(order, k)
		}
		runs[k] = append(runs[k], m)
	}
	var kept []measurement
	for _, k := range order {
		of := runs[k]
		slices.SortFunc(of, func(a, b measurement) int { return cmp.Compare(a.outcome.Wall, b.outcome.Wall) })
		median := of[len(of)/2]
		for _, m := range of {
			median.outcome.RSS = max(median.outcome.RSS, m.outcome.RSS)
			if m.traffic.total() > median.traffic.total() {
				median.traffic = m.traffic
			}
		}
		kept = append(kept, median)
	}
	return kept
}

// report prints the ratios and the goals.
func report(w io.Writer, p *plan, all []measurement) {
	find := func(uploader, name string) (measurement, bool) {
		i := slices.IndexFunc(all, func(m measurement) bool { return m.uploader == uploader && m.name == name })
		if i < 0 {
			return measurement{}, false
		}
		return all[i], true
	}
	// Ratios are those of the time for an image.
	each := func(m measurement, d time.Duration) time.Duration {
		return d / time.Duration(p.count(m.uploader, m.name))
	}
	wall := func(a, b measurement) float64 { return ratio(each(a, a.outcome.Wall), each(b, b.outcome.Wall)) }
	cpu := func(a, b measurement) float64 { return ratio(each(a, a.outcome.CPU), each(b, b.outcome.CPU)) }
	fmt.Fprintln(w)
	for _, m := range all {
		if m.uploader != "haul" {
			continue
		}
		fmt.Fprintf(w, "haul, %s: %.0f images/s", m.name, float64(p.count(m.uploader, m.name))/m.outcome.Wall.Seconds())
		for _, other := range []string{"floor", "ggcr", "ggcr-8"} {
			if o, found := find(other, m.name); found {
				fmt.Fprintf(w, ", wall %.2f of %s's, cpu %.2f", wall(m, o), other, cpu(m, o))
			}
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)

	// The requests that upload the shared layers are not any one image's; those
	// that mount them are.
	perImage := func(m measurement) float64 {
		shared := m.traffic.lookups
		for _, times := range m.traffic.shared {
			shared += 2 * times
		}
		return float64(m.traffic.total()-shared) / float64(len(p.Small))
	}
	for _, name := range []string{"one repository", "own repositories"} {
		limit := map[string]float64{"one repository": 6, "own repositories": 9}[name]
		m, found := find("haul", name)
		if !found {
			continue
		}
		slug := strings.ReplaceAll(name, " ", "-")
		goal(w, slug+"-requests-per-image", perImage(m), limit)
		most := 0
		for _, times := range m.traffic.shared {
			most = max(most, times)
		}
		goal(w, slug+"-uploads-per-shared-layer", float64(most), 1)
		if again, found := find("haul", name+", again"); found {
			goal(w, slug+"-again-requests-per-tag", float64(again.traffic.total())/float64(len(p.Small)), 1)
		}
		if o, found := find("ggcr", name); found {
			goal(w, slug+"-wall-of-ggcr", wall(m, o), 0.4)
		}
		if o, found := find("floor", name); found {
			goal(w, slug+"-wall-of-floor", wall(m, o), 1.25)
		}
	}
	if m, found := find("haul", "large layers"); found {
		if o, found := find("floor", "large layers"); found {
			goal(w, "large-layers-wall-of-floor", wall(m, o), 1.25)
		}
		if o, found := find("ggcr", "large layers"); found {
			fmt.Fprintf(w, "large layers: wall %.2f of ggcr's\n", wall(m, o))
		}
	}
	for _, m := range all {
		if m.uploader == "haul" {
			goal(w, strings.NewReplacer(" ", "-", ",", "").Replace(m.name)+"-peak-rss-mib", mib(m.outcome.RSS), 64)
		}
	}
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

func goal(w io.Writer, name string, value, most float64) {
	verdict := "met"
	if value > most {
		verdict = "missed"
	}
	fmt.Fprintf(w, "goal %s %.3f <= %g %s\n", name, value, most, verdict)
}
