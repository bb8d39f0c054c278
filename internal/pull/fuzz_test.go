package pull

import "testing"

// FuzzParts: whatever is in the files of a base image, it is read or refused.
func FuzzParts(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json"},"layers":[]}`))
	f.Add([]byte(`{"rootfs":{"diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, err := parseManifest(data); err == nil && (m.SchemaVersion != 2 || !m.Config.MediaType.IsConfig() || m.Manifests != nil) {
			t.Errorf("%q is read as %+v", data, m)
		}
		_, _ = parseConfig(data) // it must return
	})
}
