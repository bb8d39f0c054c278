package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// merge puts a part of a config over that of the base: objects are merged, and
// everything else is replaced. What the image's layers, its platform and its
// attributes decide cannot be in it.
func merge(config *v1.ConfigFile, fragment []byte) error {
	if fragment == nil {
		return nil
	}
	over := struct {
		Author     *string    `json:"author"`
		OSVersion  *string    `json:"os.version"`
		OSFeatures *[]string  `json:"os.features"`
		Config     *v1.Config `json:"config"`
	}{&config.Author, &config.OSVersion, &config.OSFeatures, &config.Config}
	decoder := json.NewDecoder(bytes.NewReader(fragment))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&over); err != nil {
		return fmt.Errorf("read config fragment, which can have author, os.version, os.features and config: %w", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errors.New("read config fragment: there is something after its JSON object")
	}
	return nil
}
