package registry

import (
	"net"
	"strings"
)

// Quirks are what a registry does otherwise than the distribution spec has it,
// or than most others do.
type Quirks struct {
	// Name is what people call the registry.
	Name string
	// NoMount means that a mount is never granted; asking would be in vain.
	NoMount bool
	// NoSelfMount means that a mount from the repository itself is not to be
	// tried.
	NoSelfMount bool
	// Chunk is the size in bytes of the chunks that uploads have to come in, or 0
	// for one monolithic PUT.
	Chunk int64
	// DeniesUnknown means that 403 is answered where 404 is meant.
	DeniesUnknown bool
	// NoManyTags means that several tags are not to be sent in one request.
	NoManyTags bool
	// NoHead means that manifests and blobs are looked up by GET.
	NoHead bool
	// Referrers says whether the registry keeps track of referrers itself. Nil means
	// that its answers tell (distribution spec, "OCI-Subject").
	Referrers *bool
	// Rate is the number of requests a second that the registry is known to bear,
	// or 0 where it is not known.
	Rate float64
}

// quirkRow says which hosts have the quirks: a host equals Host, or ends in it
// where it begins with a dot.
type quirkRow struct {
	Host string
	Quirks
}

var (
	amazonECR       = Quirks{Name: "Amazon ECR", NoSelfMount: true, Rate: 10}
	amazonECRPublic = Quirks{Name: "Amazon ECR Public", NoSelfMount: true, Rate: 10}
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
	{"ghcr.io", Quirks{Name: "GitHub Container Registry"}},
	{"index.docker.io", Quirks{Name: "Docker Hub"}},
	{"quay.io", Quirks{Name: "Quay"}},
	{".gcr.io", Quirks{Name: "Google Container Registry"}},
	{".pkg.dev", Quirks{Name: "Google Artifact Registry"}},
	{".azurecr.io", Quirks{Name: "Azure Container Registry"}},
}

var artifactory = Quirks{Name: "Artifactory", NoMount: true, NoSelfMount: true, DeniesUnknown: true}

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
