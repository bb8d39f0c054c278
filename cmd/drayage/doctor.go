package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/version"
)

func newDoctorCommand() *cobra.Command {
	var repository string
	var asJSON bool
	var reached registryFlags

	command := &cobra.Command{
		Use:   "doctor REGISTRY",
		Short: "Find out what a registry can do",
		Long: `Find out how drayage reaches a registry, which credentials it uses and where they come
from, and how the registry answers each kind of request that a push makes: lookups,
mounts, uploads in one piece, in parts and after a break, several tags at once, moved
tags, referrers. drayage has another way for each request that a registry refuses; the
output says which.

doctor writes about 6 MiB of noise to two repositories of the registry: the one given
by --repository, and one beside it to mount into. It deletes them again if the registry
allows that, and says what it left behind. It takes five minutes at most.`,
		Example: `  drayage doctor ghcr.io --repository acme/scratch`,
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			hosts, err := reached.hosts()
			if err != nil {
				return err
			}
			client := registry.New(registry.Options{Hosts: hosts, UserAgent: "drayage/" + version.String()})
			defer client.Close()
			findings, err := client.Access(command.Context(), args[0], repository)
			if err == nil {
				var more []registry.Finding
				more, err = client.Probe(command.Context(), args[0], repository)
				findings = append(findings, more...)
			}
			if asJSON {
				if err := writeIndented(command.OutOrStdout(), findings); err != nil {
					return err
				}
			} else if err := writeFindings(command.OutOrStdout(), findings); err != nil {
				return err
			}
			if err != nil {
				return fmt.Errorf("push to registry %s: %w", args[0], err)
			}
			return nil
		},
	}
	command.Flags().SortFlags = false
	command.Flags().StringVar(&repository, "repository", "drayage-doctor", "`NAME` of the repository to write to")
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	reached.add(command.Flags())
	return command
}

func writeFindings(w io.Writer, findings []registry.Finding) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range findings {
		verdict, detail := "no", f.Detail
		switch {
		case f.Err != "":
			verdict, detail = "failed", strings.ReplaceAll(f.Err, "\n", " ")
		case f.Works:
			verdict = "yes"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", f.Name, verdict, detail)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write findings: %w", err)
	}
	return nil
}
