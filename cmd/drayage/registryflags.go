package main

import (
	"os"

	"github.com/spf13/pflag"

	"github.com/drayage/drayage/internal/hostsettings"
	"github.com/drayage/drayage/internal/registry"
)

// registryFlags say how registries are reached.
type registryFlags struct {
	file      string
	plainHTTP []string
}

func (f *registryFlags) add(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.plainHTTP, "plain-http", nil, "registry `HOST[:PORT]` to reach without TLS; loopback hosts are always reached so")
	flags.StringVar(&f.file, "registries", os.Getenv("DRAYAGE_REGISTRIES"),
		"YAML `FILE` with settings of registries (TLS, headers, …), in the form of drayaged's registries; DRAYAGE_REGISTRIES sets the default")
}

// hosts are the options of the hosts that the flags name.
func (f *registryFlags) hosts() (map[string]registry.HostOptions, error) {
	return hostsettings.Load(f.file, f.plainHTTP)
}
