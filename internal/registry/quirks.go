package registry

import (
	"net"
	"strings"
)

// Quirks are what a registry does otherwise than the distribution spec has it,
// or than most others do.
type Quirks struct {
	// name is what people call the registry.
	name string
	// noMount means that no mount is ever granted, from the repository itself neither.
	noMount bool
	// noSelfMount means that a mount from the repository itself is not to be
	// tried.
	noSelfMount bool
	// Chunk is the size in bytes of the chunks that uploads have to come in, or 0
	// for one monolithic PUT.
	Chunk int64
	// deniesUnknown means that 403 is answered where 404 is meant.
	deniesUnknown bool
	// noManyTags means that several tags are not to be sent in one request.
	noManyTags bool
	// noHead means that manifests and blobs are looked up by GET.
	noHead bool
	// referrers says whether the registry keeps track of referrers itself. Nil means
	// that its answers tell (distribution spec, "OCI-Subject").
	referrers *bool
	// rate is the number of requests a second that the registry is known to bear,
	// or 0 where it is not known.
	rate float64
}

// quirkRow says which hosts have the quirks: a host equals Host, or ends in it
// where it begins with a dot.
type quirkRow struct {
	Host string
	Quirks
}

var (
	amazonECR       = Quirks{name: "Amazon ECR", noSelfMount: true, rate: 10}
	amazonECRPublic = Quirks{name: "Amazon ECR Public", noSelfMount: true, rate: 10}
)

// quirkTable is all that is known of particular registries.
// docs/haul.md shows it to operators, with the reasons.
var quirkTable = []quirkRow{
	{".amazonaws.com", amazonECR},
	{".amazonaws.com.cn", amazonECR},
	{".amazonaws.eu", amazonECR},
	{".on.aws", amazonECR},
	{".on.amazonwebservices.com.cn", amazonECR},
	{".c2s.ic.gov", amazonECR},
	{".sc2s.sgov.gov", amazonECR},
	{".cloud.adc-e.uk", amazonECR},
	{".csp.hci.ic.gov", amazonECR},
	{"public.ecr.aws", amazonECRPublic},
	{"ecr-public.aws.com", amazonECRPublic},
	{".jfrog.io", artifactory},
	{"ghcr.io", Quirks{name: "GitHub Container Registry"}},
	{"index.docker.io", Quirks{name: "Docker Hub"}},
	{"quay.io", Quirks{name: "Quay"}},
	{".gcr.io", Quirks{name: "Google Container Registry"}},
	{".pkg.dev", Quirks{name: "Google Artifact Registry"}},
	{".azurecr.io", Quirks{name: "Azure Container Registry"}},
}

var artifactory = Quirks{name: "Artifactory", noMount: true, deniesUnknown: true}

func (h *host) quirks() *Quirks { return h.traits.Load() }

// quirks are what is known of a host before it has been asked anything.
func (c *Client) quirks(hostport string) Quirks {
	quirks, given := c.opts.Quirks[hostport]
	if !given {
		quirks = quirksOf(hostport)
	}
	c.opts.Hosts[hostport].Settings.apply(&quirks)
	return quirks
}

func quirksOf(hostport string) Quirks {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	for _, row := range quirkTable {
		if host == row.Host || strings.HasPrefix(row.Host, ".") && strings.HasSuffix(host, row.Host) {
			return row.Quirks
		}
	}
	return Quirks{}
}
