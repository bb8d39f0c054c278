package server

import (
	"fmt"
	"os"
	"time"

	"github.com/drayage/drayage/bes"
	"github.com/drayage/drayage/internal/casregistry"
	"github.com/drayage/drayage/internal/dispatch"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/hostsettings"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/internal/strictyaml"
	"github.com/drayage/drayage/pushspec"
)

// Config is everything that can be set about the daemon. The keys of the
// configuration file are the yaml names; the flags that exist set the same
// fields, and win.
type Config struct {
	// Listen is the address of the gRPC server that Bazel's --bes_backend names.
	// Defaults to 127.0.0.1:9090. Port 0 takes a free one.
	Listen string `yaml:"listen"`

	// HTTP is the address of the pages, the JSON API, health and metrics.
	// Defaults to 127.0.0.1:9091. Port 0 takes a free one.
	HTTP string `yaml:"http"`

	// Names are host names and addresses, without ports, by which clients or a proxy call
	// the HTTP servers, besides loopback and the addresses that they listen on. Requests for
	// any other host are refused.
	Names []string `yaml:"names"`

	// TLS secures Listen and HTTP. Needed to listen beyond loopback.
	TLS TLS `yaml:"tls"`

	// AllowPlaintext lets Listen and HTTP leave loopback without TLS: for a
	// daemon behind a proxy or a mesh that does it.
	AllowPlaintext bool `yaml:"allow_plaintext"`

	// Policy says who may have what pushed. Needed to listen beyond loopback.
	Policy *Policy `yaml:"policy"`

	// Store is where jobs and the ledger are kept: the path of an SQLite file, or
	// a postgres:// URL. Defaults to drayage.db in the working directory.
	Store string `yaml:"store"`

	Ledger Ledger `yaml:"ledger"`

	// StallLimit is how long a daemon that shares a PostgreSQL store may say
	// nothing before the others take its jobs. One that has died loses them at
	// once. Defaults to 30s.
	StallLimit time.Duration `yaml:"stall_limit"`

	// Retention says how long what surrounds the ledger is kept.
	Retention store.Retention `yaml:"retention"`

	// Webhooks are told of what happens.
	Webhooks []Webhook `yaml:"webhooks"`

	Verify Verify `yaml:"verify"`

	// CAS is the remote cache that the builds use.
	CAS CAS `yaml:"cas"`

	// CASRegistry is a registry whose layers are those of the remote cache.
	CASRegistry CASRegistry `yaml:"cas_registry"`

	// Backends are the BES backends that every event is forwarded to. None means
	// that the stream ends here.
	Backends []Backend `yaml:"backends"`

	Relay Relay `yaml:"relay"`

	Limits Limits `yaml:"limits"`

	Hold Hold `yaml:"hold"`

	Release Release `yaml:"release"`

	// Registries are settings of single registry hosts. A host that is not here
	// is reached over HTTPS (over plain HTTP on loopback) with the credentials of
	// the docker configuration, and the certificates of docker's and podman's certs.d.
	Registries []Registry `yaml:"registries"`

	// RegistryCredentialHelper is a program that speaks Bazel's credential helper
	// protocol, and is asked for every registry before the docker configuration is.
	RegistryCredentialHelper string `yaml:"registry_credential_helper"`

	// CreateRepositories are hosts of Amazon's private registries in which a repository
	// that is pushed to and does not exist is created, with the daemon's AWS identity.
	CreateRepositories []string `yaml:"create_repositories"`

	// Workers bounds the images that are hauled at the same time. Defaults to 16.
	Workers int `yaml:"workers"`

	// ShutdownGrace bounds how long a stop waits for streams and hauls that are
	// under way. What is not done by then is done after the next start. Defaults
	// to 20s.
	ShutdownGrace time.Duration `yaml:"shutdown_grace"`

	Log Log `yaml:"log"`

	// Version is what the daemon calls itself in the ledger. Not a setting.
	Version string `yaml:"-"`
}

// TLS names the files of a server's certificate.
type TLS struct {
	// Cert and Key are PEM files.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// ClientCA is a PEM file: if set, clients must show a certificate that it
	// signed.
	ClientCA string `yaml:"client_ca"`
}

// CAS says how to reach the remote cache.
type CAS struct {
	// Address is grpc://HOST:PORT, grpcs://HOST:PORT or unix:PATH: what
	// --remote_cache names.
	Address string `yaml:"address"`
	// Headers are sent with every call, as --remote_header does.
	Headers map[string]string `yaml:"headers"`
	// CredentialHelper is a program that speaks Bazel's credential helper protocol;
	// the headers that it gives are sent with every call.
	CredentialHelper string `yaml:"credential_helper"`
	// Grace is how long a layer is waited for that the cache does not have: Bazel may
	// upload it after it has told of it. Defaults to [haul.DefaultGrace].
	Grace time.Duration `yaml:"grace"`
}

// CASRegistry says whether the daemon serves a registry of its own, from which the
// images are pulled that strategy cas_registry pushes.
type CASRegistry struct {
	// Listen is the registry's address. Empty means that there is none. Port 0 takes
	// a free one.
	Listen string `yaml:"listen"`
	// Folder keeps its manifests, configs and tags. Defaults to drayage-registry in
	// the working directory.
	Folder string `yaml:"folder"`
	// Instance is the builds' --remote_instance_name.
	Instance string `yaml:"instance"`
	// Name is HOST[:PORT] as people write it in the names of its images, and as the policy's
	// rules name it. Defaults to the address that is listened on.
	Name string `yaml:"name"`
	// BlobBytes is the size of the largest blob that a client may upload. Defaults to 10 GiB.
	BlobBytes int64 `yaml:"blob_bytes"`
	// ClientBytes is what the folder keeps for one client. Defaults to 50 GiB.
	ClientBytes int64 `yaml:"client_bytes"`
	// ClientUploads bounds the uploads of one client that are under way, and the requests
	// that send their bytes. Defaults to 256.
	ClientUploads int `yaml:"client_uploads"`
}

// Backend is one BES backend.
type Backend struct {
	// Name is used in logs and metrics. Defaults to the address.
	Name string `yaml:"name"`
	// Address is grpc://HOST:PORT, grpcs://HOST:PORT or unix:PATH.
	Address string `yaml:"address"`
	// Mode is best_effort (the default: its failure never reaches the build) or
	// required (its failure is the build's).
	Mode string `yaml:"mode"`
	// Headers are sent with every call.
	Headers map[string]string `yaml:"headers"`
	// PassHeaders are the names of Bazel's headers that are passed on. Defaults to
	// x-buildbuddy-api-key and Bazel's request metadata; an empty list is none.
	PassHeaders []string `yaml:"pass_headers"`
	// CredentialHelper is a program that speaks Bazel's credential helper protocol;
	// the headers that it gives are sent with every call.
	CredentialHelper string `yaml:"credential_helper"`
	// Keepalive is after how long a silence the backend is asked whether it is still
	// there, at least 10 s. Defaults to 5m10s.
	Keepalive time.Duration `yaml:"keepalive"`
	// TLS is how a grpcs:// address is reached.
	TLS BackendTLS `yaml:"tls"`
}

// BackendTLS names the PEM files of a connection to a backend.
type BackendTLS struct {
	// CA signed the backend's certificate. Defaults to the system's authorities.
	CA string `yaml:"ca"`
	// Cert and Key are shown to the backend.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// ServerName is what the backend's certificate must name. Defaults to the
	// address's host.
	ServerName string `yaml:"server_name"`
}

// Ledger says how the ledger is signed.
type Ledger struct {
	// KeyFile holds the key that signs checkpoints, as `drayage ledger key --out`
	// makes it. Empty means a key that is kept in the database.
	KeyFile string `yaml:"key_file"`
}

// Webhook is told of what happens, as signed CloudEvents.
type Webhook struct {
	// Name tells it from the others; events wait in the database under it.
	Name string `yaml:"name"`
	URL  string `yaml:"url"`
	// SecretFile holds what the events are signed with: at least 24 bytes.
	SecretFile string `yaml:"secret_file"`
	// Events are what it is told of: push, invocation, drift. Defaults to push alone: a
	// receiver that was written for pushes gets nothing else.
	Events []store.EventKind `yaml:"events"`
}

// Relay bounds what the streams may use.
type Relay struct {
	// MaxStreams bounds the streams that are open at a time. Defaults to 4096.
	MaxStreams int `yaml:"max_streams"`
	// ReplayBytes bounds what one stream keeps in memory for one best-effort
	// backend. Defaults to 64 MiB.
	ReplayBytes int64 `yaml:"replay_bytes"`
	// ReplayBytesTotal bounds what all streams keep together. Defaults to 512 MiB.
	ReplayBytesTotal int64 `yaml:"replay_bytes_total"`
	// SpoolDir is a folder for what does not fit into memory, encrypted with a key
	// that is never written. Empty means that nothing is put on the disk.
	SpoolDir string `yaml:"spool_dir"`
	// SpoolBytes bounds what all streams put there.
	// Defaults to 4 GiB.
	SpoolBytes int64 `yaml:"spool_bytes"`
	// Linger is how long Bazel may take to come back to a stream that ended early. After
	// that the stream is broken off. Defaults to 2m.
	Linger time.Duration `yaml:"linger"`
	// DeliverTimeout is how long a best-effort backend may take over what is left
	// once Bazel is done. Defaults to 5m.
	DeliverTimeout time.Duration `yaml:"deliver_timeout"`
}

// Hold says which builds end only when their pushes have ended: Bazel then exits
// with an error if one failed. A build asks for it, or against it, with
// --build_metadata=DRAYAGE_HOLD=true or =false.
type Hold struct {
	// Always holds every build that does not say otherwise.
	Always bool `yaml:"always"`
	// Limit is how long a build is held at most; its pushes go on after that.
	// Defaults to 10m.
	Limit time.Duration `yaml:"limit"`
	// AtLimit is what becomes of a build whose pushes are not done by then: fail (the
	// default) or pass.
	AtLimit string `yaml:"at_limit"`
}

// Release says when tags move.
type Release struct {
	// Gate is what the tags of every build wait for at least: pushed (the image), green (the
	// end of the build) or approved (an operator). Defaults to pushed.
	Gate string `yaml:"gate"`
	// Green are Bazel's names of the exit codes of builds that ended well. Defaults to
	// SUCCESS.
	Green []string `yaml:"green"`
	// OrderBy is a key of the build metadata or of the workspace status that orders builds:
	// its values are integers or RFC 3339 times. Empty orders them by when they were begun.
	OrderBy string `yaml:"order_by"`
}

// Registry holds the settings of one registry host.
type Registry = hostsettings.Registry

// Log says what is written to standard error.
type Log struct {
	// Level is debug, info, warn or error. Defaults to info.
	Level string `yaml:"level"`
	// Format is json or console. Defaults to json.
	Format string `yaml:"format"`
}

// What becomes of a held build whose pushes are not done when its limit is over.
const (
	holdFail = "fail"
	holdPass = "pass"
)

// Backend modes.
const (
	modeBestEffort = "best_effort"
	modeRequired   = "required"
)

// Defaults is the configuration of a daemon that is told nothing.
func Defaults() Config {
	return Config{
		Listen:        "127.0.0.1:9090",
		HTTP:          "127.0.0.1:9091",
		Store:         "drayage.db",
		StallLimit:    store.DefaultStallLimit,
		Retention:     store.DefaultRetention(),
		Workers:       16,
		ShutdownGrace: 20 * time.Second,
		Verify:        Verify{Age: 720 * time.Hour, Limit: 10_000, Rate: 5, Timeout: time.Hour},
		CAS:           CAS{Grace: haul.DefaultGrace},
		CASRegistry: CASRegistry{
			Folder:    "drayage-registry",
			BlobBytes: casregistry.DefaultBlobBytes, ClientBytes: casregistry.DefaultClientBytes, ClientUploads: casregistry.DefaultClientUploads,
		},
		Relay: Relay{
			MaxStreams:       bes.DefaultMaxStreams,
			ReplayBytes:      bes.DefaultReplayBytes,
			ReplayBytesTotal: bes.DefaultReplayBytesTotal,
			SpoolBytes:       bes.DefaultSpoolBytes,
			Linger:           bes.DefaultLinger,
			DeliverTimeout:   bes.DefaultDeliverTimeout,
		},
		Limits:  Limits{ClientStreams: defaultClientStreams, Limits: store.DefaultLimits(), FirstEvent: bes.DefaultFirstMessage},
		Hold:    Hold{Limit: dispatch.DefaultHoldLimit, AtLimit: holdFail},
		Release: Release{Gate: string(pushspec.GatePushed), Green: []string{"SUCCESS"}},
		Log:     Log{Level: "info", Format: "json"},
	}
}

// LoadFile reads the configuration file at path over c. A key that is not a
// setting is an error that names its line.
func (c *Config) LoadFile(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	if err := c.decode(data); err != nil {
		return fmt.Errorf("configuration %s: %w", path, err)
	}
	return nil
}

func (c *Config) decode(data []byte) error { return strictyaml.Decode(data, c) }
