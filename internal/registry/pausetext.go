package registry

import (
	"fmt"
	"strings"
	"time"

	"github.com/drayage/drayage/internal/registry/pacer"
)

// waitText says how long a server is left alone that asked for some time.
func waitText(after, asked time.Duration) string {
	if asked > after {
		return fmt.Sprintf("it asked for %s; drayage waits %s at most", asked.Round(time.Second), after.Round(time.Second))
	}
	return fmt.Sprintf("try again in %s", after.Round(time.Second))
}

// pauseText says why a server is not asked, in words that follow its name.
func pauseText(p pacer.Pause) string {
	text := fmt.Sprintf("was not asked: it answered %d", p.Answer.Status)
	if p.Answer.Op != "" {
		text += " to: " + p.Answer.Op
	}
	if !strings.Contains(p.Answer.Op, p.Answer.Repository) {
		text += " (" + p.Answer.Repository + ")"
	}
	at := p.Until
	if p.Next.Before(at) {
		at = p.Next
	}
	return fmt.Sprintf("%s, and asked for %s; it is left alone until %s at most, and the next try is at %s",
		text, p.Answer.Asked.Round(time.Second), p.Until.UTC().Format(time.TimeOnly), at.UTC().Format(time.TimeOnly+" UTC"))
}
