package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// measurement is one uploader's run of one case.
type measurement struct {
	uploader, name string
	round          int
	outcome        outcome
	traffic        traffic
}

func (m measurement) print(w io.Writer) {
	fmt.Fprintf(w, "%-6s  %-24s  %6.2f s  cpu %6.2f s  rss %5.1f MiB  up %8.1f MiB  %6d requests (%s)", m.uploader, m.name,
		m.outcome.Wall.Seconds(), m.outcome.CPU.Seconds(), mib(m.outcome.RSS), mib(m.traffic.bytesUp), m.traffic.total(), m.traffic.kinds())
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

// ofRounds is the median over the rounds of a figure of one uploader as a ratio
// to that of another: what else the machine did in a round hit both.
func ofRounds(runs []measurement, name, uploader, other string, figure func(measurement) float64) float64 {
	byRound := map[int][2]float64{}
	for _, m := range runs {
		pair := byRound[m.round]
		switch {
		case m.name != name:
		case m.uploader == uploader:
			pair[0] = figure(m)
		case m.uploader == other:
			pair[1] = figure(m)
		}
		byRound[m.round] = pair
	}
	var ratios []float64
	for _, pair := range byRound {
		ratios = append(ratios, pair[0]/pair[1])
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

// report prints the ratios and the goals.
func report(w io.Writer, p *plan, runs []measurement) {
	all := medians(runs)
	find := func(uploader, name string) (measurement, bool) {
		i := slices.IndexFunc(all, func(m measurement) bool { return m.uploader == uploader && m.name == name })
		if i < 0 {
			return measurement{}, false
		}
		return all[i], true
	}
	// Ratios are those of the time for an image.
	wall := func(name, other string) float64 {
		return ofRounds(runs, name, "haul", other, func(m measurement) float64 {
			return m.outcome.Wall.Seconds() / float64(p.count(m.uploader, name))
		})
	}
	cpu := func(name, other string) float64 {
		return ofRounds(runs, name, "haul", other, func(m measurement) float64 {
			return m.outcome.CPU.Seconds() / float64(p.count(m.uploader, name))
		})
	}
	fmt.Fprintln(w)
	for _, m := range all {
		if m.uploader != "haul" {
			continue
		}
		fmt.Fprintf(w, "haul, %s: %.0f images/s", m.name, float64(p.count(m.uploader, m.name))/m.outcome.Wall.Seconds())
		for _, other := range []string{"floor", "ggcr", "ggcr-8"} {
			if _, found := find(other, m.name); found {
				fmt.Fprintf(w, ", wall %.2f of %s's, cpu %.2f", wall(m.name, other), other, cpu(m.name, other))
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
		if _, found := find("ggcr", name); found {
			goal(w, slug+"-wall-of-ggcr", wall(name, "ggcr"), 0.4)
		}
		if _, found := find("floor", name); found {
			goal(w, slug+"-wall-of-floor", wall(name, "floor"), 1.25)
		}
	}
	const large = "large layers"
	if _, found := find("haul", large); found {
		if _, found := find("floor", large); found {
			goal(w, "large-layers-wall-of-floor", wall(large, "floor"), 1.25)
		}
	}
	for _, m := range all {
		if m.uploader == "haul" {
			goal(w, strings.NewReplacer(" ", "-", ",", "").Replace(m.name)+"-peak-rss-mib", mib(m.outcome.RSS), 64)
		}
	}
}

func goal(w io.Writer, name string, value, most float64) {
	verdict := "met"
	if value > most {
		verdict = "missed"
	}
	fmt.Fprintf(w, "goal %s %.3f <= %g %s\n", name, value, most, verdict)
}
