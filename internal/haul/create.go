package haul

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

var (
	// privateECR are the hosts of Amazon's registries: the account, the region, and the
	// suffix, of which there is one for each kind of network and of cloud.
	privateECR = regexp.MustCompile(`^([0-9]{12})\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.[a-z0-9.-]+$`)
	artifacts  = regexp.MustCompile(`^([a-z0-9-]+)-docker\.pkg\.dev$`)
)

// AmazonHost takes the host of a private registry of Amazon's apart.
func AmazonHost(host string) (account, region string, ok bool) {
	found := privateECR.FindStringSubmatch(host)
	if found == nil {
		return "", "", false
	}
	return found[1], found[2], true
}

// create says how a repository that does not exist comes to be.
func create(host, repository string) string {
	first, rest, nested := strings.Cut(repository, "/")
	if account, region, ok := AmazonHost(host); ok {
		return fmt.Sprintf("create it: aws ecr create-repository --registry-id %s --region %s --repository-name %s, or have the daemon do so (create_repositories)", account, region, repository)
	}
	if host == "public.ecr.aws" && nested {
		return "create it: aws ecr-public create-repository --region us-east-1 --repository-name " + rest
	}
	if found := artifacts.FindStringSubmatch(host); found != nil && nested {
		name, _, _ := strings.Cut(rest, "/")
		return fmt.Sprintf("create it: gcloud artifacts repositories create %s --repository-format=docker --location=%s --project=%s", name, found[1], first)
	}
	return fmt.Sprintf("create %s there, or have the registry create repositories on the first push", repository)
}

// isAbsent tells whether the destination's registry says that the repository does not
// exist.
func isAbsent(err error) bool {
	failed, answer := destinationError(err)
	return answer != nil && answer.Has("NAME_UNKNOWN") && failed.Class == Rejected
}

// runOrCreate runs the haul, and once more in a repository that did not exist and was
// created for it.
func (s *shipment) runOrCreate(ctx context.Context) error {
	err := s.run(ctx)
	if !isAbsent(err) {
		return err
	}
	failed, _ := destinationError(err)
	told := *failed
	told.Text += fmt.Sprintf("; the repository %s does not exist in %s", s.to.Name(), s.to.Registry())
	if s.hauler.opts.Create == nil {
		told.Text += ": " + create(s.to.Registry(), s.to.Name())
		return &told
	}
	created, err := s.hauler.opts.Create(ctx, s.to.Registry(), s.to.Name())
	switch {
	case err != nil:
		told.Text += fmt.Sprintf(", and could not be created: %v", err)
		return &told
	case !created:
		told.Text += ": " + create(s.to.Registry(), s.to.Name())
		return &told
	}
	s.hauler.opts.Logger.Info().Str("registry", s.to.Registry()).Str("repository", s.to.Name()).Msg("repository is created")
	s.forget()
	return s.run(ctx)
}
