package dispatch

import (
	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/ledger"
)

// logEnd says aloud how a run has ended that did not fail.
func (r *run) logEnd() {
	e := r.entry
	level, text := zerolog.InfoLevel, "image is in the registry"
	switch e.Outcome {
	case ledger.Staged:
		text = "image is in the registry by its digest; its tags wait"
	case ledger.Withheld:
		level, text = zerolog.WarnLevel, "tags are withheld: "+e.Error
	case ledger.RolledBack:
		text = "tags are rolled back"
		if e.Error != "" {
			level, text = zerolog.WarnLevel, "tags are rolled back, but not all: "+e.Error
		}
	}
	r.logger.WithLevel(level).
		Str("outcome", string(e.Outcome)).
		Str("registry", e.Registry).
		Str("repository", e.Repository).
		Str("digest", e.Digest).
		Strs("tags", e.TagNames()).
		Func(func(line *zerolog.Event) {
			if len(e.HeldTags) > 0 {
				line.Strs("held", e.HeldTags).Str("gate", e.Gate)
			}
			if e.By != "" {
				line.Str("by", e.By)
			}
		}).
		Int64("bytes", e.Uploaded.Bytes).
		Int("requests", e.Requests).
		Dur("duration", e.Duration).
		Msg(text)
}
