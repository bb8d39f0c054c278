package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"
)

func newPromoteCommand() *cobra.Command {
	var d decision
	var to string
	command := &cobra.Command{
		Use:   "promote INVOCATION_ID…",
		Short: "Release the tags of Bazel invocations, or copy their images elsewhere",
		Long: `Approve Bazel invocations whose tags wait at the gate "approved". Their tags move
together as soon as every push that each of them expected is in its registry and the
build has ended well. An invocation that is withheld moves its tags, too, if the daemon's
policy lets you promote it (promote_withheld) and it is whole.

The ledger has who promoted an invocation. The daemon's policy says who may, in promote.
A tag to which a newer build has moved stays there, and the push is superseded: see
drayage fence.

With --to, the daemon copies the images of the invocations instead, by their digests,
with their tags and with what refers to them, and the command waits for the copies. Their
first tags stay as they are. {REPOSITORY} stands for each image's repository. Images that
are pushed, staged or withheld are copied. The copies are in the ledger, with who asked
for them.

Exit codes, without --to and --wait: 0 if all invocations are promoted, 1 if one cannot
be. With --to or --wait they are those of drayage wait; with --to, 7 also says that a push
of an invocation has no image to copy.`,
		Example: `  drayage promote 4f0c1b9e-6a51-4a51-9df3-3f1f0f6b2c11 --reason "the canary is well"
  drayage promote "$id" --wait
  drayage promote "$id" --to production.example/{REPOSITORY}`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			client, err := d.dial()
			if err != nil {
				return err
			}
			if to != "" {
				if d.reason != "" || d.wait {
					return errors.New("--to copies images: it takes no --reason, and waits without --wait")
				}
				return d.copyTo(command, client, args, to)
			}
			if _, err := d.all(command, args, client.Promote); err != nil || !d.wait {
				return err
			}
			report, err := d.await(command, client, args)
			if err != nil {
				return err
			}
			return report.err()
		},
	}
	d.addFlags(command, "why: a `TEXT` for the daemon's log")
	flags := command.Flags()
	flags.StringVar(&to, "to", "", "copy the images to `REGISTRY/REPOSITORY`, in which {REPOSITORY} stands for each image's own")
	flags.BoolVar(&d.wait, "wait", false, "wait until the tags have moved, or cannot")
	flags.DurationVar(&d.timeout, "timeout", 10*time.Minute, "how long to wait")
	return command
}
