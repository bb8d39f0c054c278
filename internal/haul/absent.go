package haul

import (
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

// create says how a repository that does not exist comes to be.
func create(host, repository string) string {
	first, rest, nested := strings.Cut(repository, "/")
	if found := privateECR.FindStringSubmatch(host); found != nil {
		return fmt.Sprintf("create it: aws ecr create-repository --registry-id %s --region %s --repository-name %s", found[1], found[2], repository)
	}
	if host == "public.ecr.aws" && nested {
		return "create it: aws ecr-public create-repository --region us-east-1 --repository-name " + rest
	}
	if found := artifacts.FindStringSubmatch(host); found != nil && nested {
		name, _, _ := strings.Cut(rest, "/")
		return fmt.Sprintf("create it: gcloud artifacts repositories create %s --repository-format=docker --location=%s --project=%s", name, found[1], first)
	}
	return fmt.Sprintf("create %s there, or have the registry create repositories when they are pushed to", repository)
}

// absent adds to an error that the destination's repository does not exist, if that is
// what the registry says.
func (j *job) absent(err error) error {
	failed, answer := destinationError(err)
	if answer == nil || !answer.Has("NAME_UNKNOWN") || failed.Class != Rejected {
		return err
	}
	told := *failed
	told.Text += fmt.Sprintf("; the repository %s does not exist in %s: %s", j.to.Name(), j.to.Registry(), create(j.to.Registry(), j.to.Name()))
	return &told
}
