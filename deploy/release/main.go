// Command release makes what a release of the rules consists of: the drayage tool
// for each platform, the lock that names the hashes, and the archive of the module
// that has the lock in it.
//
//	go run ./deploy/release -out dist
//
// The same sources and the same Go give the same bytes, in any folder.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
)

// defaultPlatforms are those of rules/private/tool_platform.bzl.
const defaultPlatforms = "darwin/amd64,darwin/arm64,linux/amd64,linux/arm64,windows/amd64,windows/arm64"

// defaultURL is where the files of a release can be had.
const defaultURL = "https://github.com/drayage/drayage/releases/download/v{version}/{file}"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "release: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	root := flags.String("root", ".", "folder of the checkout")
	out := flags.String("out", "dist", "folder that the release is written to")
	url := flags.String("url", defaultURL, "where the files will be; {version} and {file} stand for what they say")
	platforms := flags.String("platforms", defaultPlatforms, "GOOS/GOARCH pairs, parted by commas")
	if err := flags.Parse(args); err != nil {
		return err
	}
	version, err := moduleVersion(*root)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(*out, 0o755); err != nil { //nolint:gosec // for everybody
		return fmt.Errorf("make folder: %w", err)
	}

	lock := lock{Version: version, URL: *url, Files: map[string]lockedFile{}}
	var written []string
	for platform := range strings.SplitSeq(*platforms, ",") {
		system, architecture, found := strings.Cut(platform, "/")
		if !found {
			return fmt.Errorf("platform %q is not GOOS/GOARCH", platform)
		}
		name := fmt.Sprintf("drayage-%s-%s-%s", version, system, architecture)
		if system == "windows" {
			name += ".exe"
		}
		if err := build(ctx, *root, filepath.Join(*out, name), system, architecture, version); err != nil {
			return err
		}
		sum, err := sumFile(filepath.Join(*out, name))
		if err != nil {
			return err
		}
		lock.Files[system+"_"+architecture] = lockedFile{Name: name, SHA256: sum}
		written = append(written, name)
	}

	text, err := lock.encode()
	if err != nil {
		return err
	}
	archive := fmt.Sprintf("drayage-%s.tar.gz", version)
	if err := writeArchive(filepath.Join(*out, archive), *root, "drayage-"+version, map[string][]byte{lockPath: text}); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(*out, filepath.Base(lockPath)), text, 0o644); err != nil { //nolint:gosec // for everybody
		return fmt.Errorf("write lock: %w", err)
	}
	return writeSums(*out, append(written, archive))
}

// moduleVersion is the version that MODULE.bazel says.
func moduleVersion(root string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, "MODULE.bazel"))
	if err != nil {
		return "", fmt.Errorf("read version: %w", err)
	}
	found := versionLine.FindSubmatch(text)
	if found == nil {
		return "", fmt.Errorf("read version: no version in %s", filepath.Join(root, "MODULE.bazel"))
	}
	return string(found[1]), nil
}

var versionLine = regexp.MustCompile(`(?m)^ +version = "([^"]+)",$`)
