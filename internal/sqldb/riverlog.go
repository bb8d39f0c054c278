package sqldb

import (
	"context"
	"log/slog"

	"github.com/rs/zerolog"
)

// riverLogger passes on what River has to say, from warnings up.
func riverLogger(logger zerolog.Logger) *slog.Logger { return slog.New(riverHandler{logger}) }

type riverHandler struct{ logger zerolog.Logger }

// Enabled implements [slog.Handler].
func (riverHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle implements [slog.Handler].
func (h riverHandler) Handle(_ context.Context, record slog.Record) error {
	level := zerolog.WarnLevel
	if record.Level >= slog.LevelError {
		level = zerolog.ErrorLevel
	}
	fields := map[string]any{}
	record.Attrs(func(a slog.Attr) bool {
		fields[a.Key] = a.Value.String()
		return true
	})
	h.logger.WithLevel(level).Fields(fields).Msg("river: " + record.Message)
	return nil
}

// WithAttrs implements [slog.Handler].
func (h riverHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := h.logger.With()
	for _, a := range attrs {
		with = with.Str(a.Key, a.Value.String())
	}
	return riverHandler{with.Logger()}
}

// WithGroup implements [slog.Handler].
func (h riverHandler) WithGroup(string) slog.Handler { return h }
