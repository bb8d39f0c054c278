package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/version"
	"github.com/drayage/drayage/pushspec"
)

// specFlags say where the layers of push specs are, and what their stamp variables
// stand for.
type specFlags struct {
	cas, instance string
	headers       []string
	blobs         []string
	outputs       []string
	diskCache     string
	statusFiles   []string
	vars          []string
	registries    registryFlags
	verbose       bool
}

func (f *specFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.cas, "cas", os.Getenv("DRAYAGE_CAS"), "`ADDRESS` of the remote cache: grpc://…, grpcs://… or unix:…; DRAYAGE_CAS sets the default")
	flags.StringVar(&f.instance, "instance", "", "`NAME` of the build's --remote_instance_name")
	flags.StringArrayVar(&f.headers, "cas-header", nil, "header `NAME=value` to send to the remote cache, such as an API key")
	flags.StringArrayVar(&f.blobs, "blob", nil, "`FILE` with the bytes of a layer")
	flags.StringArrayVar(&f.outputs, "outputs", nil, "`FILE` that lists layers which the build may have left here, as bazel run passes it")
	flags.StringVar(&f.diskCache, "disk-cache", os.Getenv("DRAYAGE_DISK_CACHE"), "`FOLDER` of the build's --disk_cache; DRAYAGE_DISK_CACHE sets the default")
	flags.StringArrayVar(&f.statusFiles, "status", nil, "workspace status `FILE` with stamp variables; later files win")
	flags.StringArrayVar(&f.vars, "var", nil, "stamp variable `NAME=value`; wins over files")
	f.registries.add(flags)
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "log every request")
}

// openSpecs are push specs, and what is needed to act on them.
type openSpecs struct {
	specs      []*pushspec.Spec
	vars       map[string]string
	blobs      *blobFiles
	registries *registry.Client
	logger     zerolog.Logger
	close      func()
}

// open reads specs, and gets ready to read their layers.
func (f *specFlags) open(paths []string, progress io.Writer) (*openSpecs, error) {
	level := zerolog.WarnLevel
	if f.verbose {
		level = zerolog.DebugLevel
	}
	o := &openSpecs{logger: zerolog.New(zerolog.ConsoleWriter{Out: progress}).Level(level).With().Timestamp().Logger()}
	var err error
	if o.vars, err = f.stampVariables(); err != nil {
		return nil, err
	}
	for _, path := range paths {
		spec, err := readSpec(path)
		if err != nil {
			return nil, err
		}
		o.specs = append(o.specs, spec)
	}
	hosts, err := f.registries.hosts()
	if err != nil {
		return nil, err
	}
	closeBlobs, err := o.openBlobs(f)
	if err != nil {
		return nil, err
	}
	o.registries = registry.New(registry.Options{Hosts: hosts, UserAgent: "drayage/" + version.String(), Logger: o.logger})
	o.close = func() {
		o.registries.Close()
		closeBlobs()
	}
	return o, nil
}

// openBlobs is where layers are read from: files first, then the remote cache.
func (o *openSpecs) openBlobs(f *specFlags) (closeBlobs func(), err error) {
	if o.blobs, err = openBlobFiles(f.blobs, f.outputs, f.diskCache); err != nil {
		return nil, err
	}
	if f.cas == "" {
		return func() {}, nil
	}
	headers, err := pairs("--cas-header", f.headers)
	if err != nil {
		return nil, err
	}
	client, err := cas.Dial(f.cas, cas.Options{Headers: headers, Logger: o.logger})
	if err != nil {
		return nil, fmt.Errorf("--cas: %w", err)
	}
	o.blobs.otherwise = client
	return func() { _ = client.Close() }, nil
}

// stampVariables are those of the status files, and the given ones over them.
func (f *specFlags) stampVariables() (map[string]string, error) {
	vars := map[string]string{}
	for _, path := range f.statusFiles {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("--status: %w", err)
		}
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
			vars[name] = value
		}
	}
	given, err := pairs("--var", f.vars)
	if err != nil {
		return nil, err
	}
	maps.Copy(vars, given)
	return vars, nil
}

func readSpec(path string) (*pushspec.Spec, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read push spec: %w", err)
	}
	spec, err := pushspec.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return spec, nil
}
