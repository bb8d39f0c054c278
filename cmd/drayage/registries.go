package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/table"
)

func newRegistriesCommand() *cobra.Command {
	var v view
	command := &cobra.Command{
		Use:   "registries",
		Short: "Show, drain, block and open the registries that are pushed to",
		Long: `Show every registry that the daemon knows, what is under way there and what waits.

A registry that asks for patience is paused: nothing is sent to it for 30 minutes at most,
except that now and then one request finds out whether it is back. Lift ends a pause.

Operators can drain a registry (no push begins), block it (no request is sent; the pushes
under way are ended), and open it again. Pushes wait meanwhile, and do not fail. This holds
for all daemons that share a database, and over restarts.`,
		Example: `  drayage registries
  drayage registries lift ghcr.io
  drayage registries drain registry.example:5000
  drayage registries open registry.example:5000`,
		Args: cobra.NoArgs,
	}
	command.RunE = show(&v, func(ctx context.Context, client *operator.Client, _ []string) ([]operator.Registry, error) {
		return client.Registries(ctx)
	}, writeRegistries)
	v.addFlags(command)
	command.AddCommand(
		newRegistryCommand("lift", "End the pause of a registry now", liftRegistry),
		newRegistryCommand("drain", "Begin no push to a registry; let those under way end",
			setRegistry((*operator.Client).DrainRegistry, "drained")),
		newRegistryCommand("block", "Send nothing to a registry, and end the pushes under way; they wait",
			setRegistry((*operator.Client).BlockRegistry, "blocked")),
		newRegistryCommand("open", "Let pushes to a registry go on",
			setRegistry((*operator.Client).OpenRegistry, "open")),
	)
	return command
}

func writeRegistries(w io.Writer, list []operator.Registry) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "The daemon knows no registry yet.")
		return err
	}
	rows := [][]string{{"REGISTRY", "STATE", "PUSHES", "JOBS", "REQUESTS", "WAITING", "RATE", "LAST ANSWER"}}
	for _, r := range list {
		state, rate, last := r.State, "-", "-"
		if r.Pause != nil && r.State == "open" {
			state = "paused"
		}
		if r.Rate > 0 {
			rate = strconv.FormatFloat(r.Rate, 'f', 1, 64) + "/s"
		}
		if !r.LastAnswer.IsZero() {
			last = clockTime(r.LastAnswer)
		}
		rows = append(rows, []string{
			r.Registry, state, strconv.Itoa(r.Pushes), strconv.Itoa(r.Jobs), strconv.Itoa(r.UnderWay), strconv.Itoa(r.Waiting), rate, last,
		})
	}
	if err := table.Write(w, rows); err != nil {
		return err
	}
	for _, r := range list {
		if text := whyClosed(r); text != "" {
			fmt.Fprintln(w, table.Printable(text))
		}
	}
	return nil
}

// whyClosed says why nothing, or no push, goes to a registry; or it is empty.
func whyClosed(r operator.Registry) string {
	switch p := r.Pause; {
	case r.State != "open":
		return fmt.Sprintf("%s was %s by %s at %s; drayage registries open %s ends that", r.Registry, r.State, r.By, clockTime(r.Since), r.Registry)
	case p != nil:
		who := r.Registry
		if p.TokenService != "" {
			who = "the token service " + p.TokenService + " of " + r.Registry
		}
		asked := time.Duration(p.AskedSeconds * float64(time.Second)).Round(time.Second)
		text := fmt.Sprintf("%s asked for %s: %d to %q", who, asked, p.Status, p.Request)
		if !strings.Contains(p.Request, p.Repository) {
			text += " in " + p.Repository
		}
		return fmt.Sprintf("%s at %s; waiting until %s at most, next try at %s", text, clockTime(p.Since), clockTime(p.Until), clockTime(p.NextTry))
	}
	return ""
}

// clockTime is a time for people, who know which day it is.
func clockTime(t time.Time) string { return t.In(time.Local).Format(time.DateTime) }

// onRegistry does something to a registry, and says what came of it.
type onRegistry func(ctx context.Context, client *operator.Client, registry string) (text string, err error)

func liftRegistry(ctx context.Context, client *operator.Client, registry string) (string, error) {
	paused, err := client.LiftRegistry(ctx, registry)
	if paused {
		return "lift: " + registry + " is no longer paused", err
	}
	return "lift: " + registry + " was not paused here; other daemons with this database lift their pauses too", err
}

func setRegistry(set func(*operator.Client, context.Context, string) (operator.Registry, error), state string) onRegistry {
	return func(ctx context.Context, client *operator.Client, registry string) (string, error) {
		r, err := set(client, ctx, registry)
		return fmt.Sprintf("%s is %s: %s under way here, %s", r.Registry, state,
			counted(r.Pushes, "push", "pushes"), counted(r.Jobs, "job waits", "jobs wait")), err
	}
}

func newRegistryCommand(name, short string, do onRegistry) *cobra.Command {
	var daemon string
	command := &cobra.Command{
		Use:     name + " HOST",
		Short:   short,
		Example: "  drayage registries " + name + " ghcr.io",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			client, err := dial(daemon)
			if err != nil {
				return err
			}
			text, err := do(command.Context(), client, args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(command.OutOrStdout(), table.Printable(text))
			return err
		},
	}
	addDaemonFlag(command, &daemon)
	return command
}
