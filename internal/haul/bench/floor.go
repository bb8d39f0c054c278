package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/cas"
)

// floor uploads without a question: it knows that nothing is there, and what is
// shared. It checks nothing and retries nothing.
type floor struct {
	base   string
	http   *http.Client
	client *cas.Client
}

const floorConnections = 8

// prepareFloor makes the work for the floor, over eight connections.
func prepareFloor(_ context.Context, p *plan) (func(context.Context) error, error) {
	images, repository := p.images()
	client, err := cas.Dial(p.CAS, cas.Options{})
	if err != nil {
		return nil, err
	}
	f := &floor{base: "http://" + p.Registry, client: client,
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: floorConnections, MaxConnsPerHost: floorConnections, WriteBufferSize: 32 << 10}}}
	var shared []v1.Descriptor
	if p.Case != "large layers" {
		shared = images[0].Layers[:sharedLayers]
	}
	first := repository(0)
	return func(ctx context.Context) error {
		defer client.Close()
		err := each(ctx, len(shared), floorConnections, func(ctx context.Context, i int) error {
			return f.blob(ctx, first, shared[i], nil)
		})
		if err != nil {
			return err
		}
		return each(ctx, len(images), floorConnections, func(ctx context.Context, i int) error {
			return f.image(ctx, images[i], first, repository(i), tag(i), len(shared))
		})
	}, nil
}

func (f *floor) image(ctx context.Context, made image, first, repository, tag string, shared int) error {
	if repository != first {
		for _, layer := range made.Layers[:shared] {
			query := url.Values{"mount": {layer.Digest.String()}, "from": {first}}
			if _, err := f.do(ctx, http.MethodPost, f.base+"/v2/"+repository+"/blobs/uploads/?"+query.Encode(), "", nil, 0, http.StatusCreated); err != nil {
				return err
			}
		}
	}
	for _, layer := range made.Layers[shared:] {
		if err := f.blob(ctx, repository, layer, nil); err != nil {
			return err
		}
	}
	if err := f.blob(ctx, repository, describe(types.OCIConfigJSON, made.Config), made.Config); err != nil {
		return err
	}
	_, err := f.do(ctx, http.MethodPut, f.base+"/v2/"+repository+"/manifests/"+tag, string(types.OCIManifestSchema1),
		bytes.NewReader(made.Manifest), int64(len(made.Manifest)), http.StatusCreated)
	return err
}

func (f *floor) blob(ctx context.Context, repository string, blob v1.Descriptor, data []byte) error {
	resp, err := f.do(ctx, http.MethodPost, f.base+"/v2/"+repository+"/blobs/uploads/", "", nil, 0, http.StatusAccepted)
	if err != nil {
		return err
	}
	location, err := resp.Location()
	if err != nil {
		return fmt.Errorf("begin upload: %w", err)
	}
	query := location.Query()
	query.Set("digest", blob.Digest.String())
	location.RawQuery = query.Encode()
	var body io.Reader = bytes.NewReader(data)
	if data == nil {
		stream, err := f.client.Stream(ctx, casBlob(blob), 0)
		if err != nil {
			return err
		}
		defer stream.Close()
		body = stream
	}
	_, err = f.do(ctx, http.MethodPut, location.String(), "application/octet-stream", body, blob.Size, http.StatusCreated)
	return err
}

func (f *floor) do(ctx context.Context, method, url, contentType string, body io.Reader, size int64, want int) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := f.http.Do(req)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("%s %s: status %d", method, url, resp.StatusCode)
	}
	return resp, err
}
