package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"

	"github.com/drayage/drayage/internal/outbox/webhook"
	"github.com/drayage/drayage/internal/store"
)

// openStore opens the store with the keys and the webhooks that files hold.
func (d *Daemon) openStore(ctx context.Context) error {
	options := store.Options{
		Logger: d.logger, DrainTimeout: d.config.ShutdownGrace,
		StallLimit: d.config.StallLimit, Retention: d.config.Retention,
		Green: d.config.Release.Green, OrderBy: d.config.Release.OrderBy,
		Limits:      d.config.Limits.Limits,
		StreamLimit: min(store.DefaultStreamLimit, d.config.Relay.Linger),
	}
	if name := d.config.Ledger.KeyFile; name != "" {
		key, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("ledger.key_file: %w", err)
		}
		options.LogKey = string(bytes.TrimSpace(key))
	}
	for i, w := range d.config.Webhooks {
		sink, err := w.open()
		if err != nil {
			return fmt.Errorf("webhooks[%d]: %w", i, err)
		}
		if options.Sinks == nil {
			options.Sinks = map[string]store.Sink{}
		}
		if options.Sinks[w.Name] != nil {
			return fmt.Errorf("webhooks[%d].name: %q must not be used twice", i, w.Name)
		}
		options.Sinks[w.Name] = sink
		if len(w.Events) > 0 {
			if options.Events == nil {
				options.Events = map[string][]store.EventKind{}
			}
			options.Events[w.Name] = w.Events
		}
	}
	var err error
	d.store, err = store.Open(ctx, d.config.Store, options)
	return err
}

func (w Webhook) open() (store.Sink, error) {
	secret, err := os.ReadFile(w.SecretFile)
	if err != nil {
		return nil, fmt.Errorf("secret_file: %w", err)
	}
	secret = bytes.TrimSpace(secret)
	// The form in which the libraries of Standard Webhooks hand secrets around.
	if encoded, ok := bytes.CutPrefix(secret, []byte("whsec_")); ok {
		if secret, err = base64.StdEncoding.DecodeString(string(encoded)); err != nil {
			return nil, fmt.Errorf("secret_file: the text after whsec_ must be base64: %w", err)
		}
	}
	return webhook.New(webhook.Options{URL: w.URL, Secret: secret})
}
