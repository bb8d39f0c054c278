package casregistry

import (
	"fmt"
	"io"
	"mime"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/pushspec"
)

// maxReferences bounds what one manifest may refer to.
const maxReferences = 1000

// manifestTypes are the content types of manifests, and whether they are of an index. No
// other is stored or served.
var manifestTypes = map[string]bool{
	string(types.OCIManifestSchema1):    false,
	string(types.DockerManifestSchema2): false,
	string(types.OCIImageIndex):         true,
	string(types.DockerManifestList):    true,
}

// descriptor is what is needed of a descriptor.
type descriptor struct {
	digest v1.Hash
	size   int64
	// elsewhere tells whether clients get the blob from where its owner has it.
	elsewhere bool
}

// references are what a manifest or an index refers to.
type references struct {
	mediaType string
	// blobs are the config and the layers.
	blobs, manifests []descriptor
}

// readReferences reads a manifest bit by bit, so that it takes little memory whatever is
// in it.
func readReferences(in io.Reader) (references, error) {
	var refers references
	decoder := jsontext.NewDecoder(in)
	if token, err := decoder.ReadToken(); err != nil {
		return refers, manifestInvalid("the body must be a manifest: " + err.Error())
	} else if token.Kind() != '{' {
		return refers, manifestInvalid("the body must be a manifest, which is a JSON object")
	}
	for decoder.PeekKind() == '"' {
		name, err := decoder.ReadToken()
		if err != nil {
			return refers, manifestInvalid("the body must be a manifest: " + err.Error())
		}
		if err := refers.field(name.String(), decoder); err != nil {
			return refers, err
		}
	}
	_, err := decoder.ReadToken()
	if err == nil {
		if _, err = decoder.ReadToken(); err == io.EOF { //nolint:errorlint // decoders return it bare
			return refers, nil
		}
		if err == nil {
			err = fmt.Errorf("something follows it")
		}
	}
	return refers, manifestInvalid("the body must be a manifest: " + err.Error())
}

func (r *references) field(name string, decoder *jsontext.Decoder) (err error) {
	switch {
	case name == "mediaType":
		err = json.UnmarshalDecode(decoder, &r.mediaType)
	case name == "config" && decoder.PeekKind() == '{':
		return r.add(decoder, &r.blobs)
	case (name == "layers" || name == "manifests") && decoder.PeekKind() == '[':
		list := &r.blobs
		if name == "manifests" {
			list = &r.manifests
		}
		if _, err := decoder.ReadToken(); err != nil {
			return err
		}
		for decoder.PeekKind() != ']' {
			if err := r.add(decoder, list); err != nil {
				return err
			}
		}
		_, err = decoder.ReadToken()
	default:
		err = decoder.SkipValue()
	}
	if err != nil {
		return manifestInvalid(fmt.Sprintf("the body must be a manifest: %s: %s", name, err))
	}
	return nil
}

func (r *references) add(decoder *jsontext.Decoder, list *[]descriptor) error {
	var d struct {
		MediaType types.MediaType `json:"mediaType"`
		Digest    string          `json:"digest"`
		Size      int64           `json:"size"`
	}
	if err := json.UnmarshalDecode(decoder, &d); err != nil {
		return manifestInvalid("the body must be a manifest: " + err.Error())
	}
	digest, err := sha256Digest(d.Digest)
	if err != nil {
		return err
	}
	if d.Size < 0 {
		return manifestInvalid("the size of " + d.Digest + " must not be negative")
	}
	if len(r.blobs)+len(r.manifests) >= maxReferences {
		return manifestInvalid(fmt.Sprintf("a manifest must not refer to more than %d blobs and manifests", maxReferences))
	}
	*list = append(*list, descriptor{digest, d.Size, !pushspec.Distributable(d.MediaType)})
	return nil
}

// checkType returns the type of a manifest. A manifest that can be read in two ways is
// refused: clients would disagree on what it is.
func (r *references) checkType(header string) (string, error) {
	mediaType, _, err := mime.ParseMediaType(header)
	index, known := manifestTypes[mediaType]
	switch {
	case err != nil || !known:
		return "", manifestInvalid(fmt.Sprintf("the Content-Type %q is not that of an OCI or Docker manifest or index", header))
	case r.mediaType != "" && r.mediaType != mediaType:
		return "", manifestInvalid(fmt.Sprintf("the manifest says that it is %q, but its Content-Type is %q", r.mediaType, header))
	case index && len(r.blobs) > 0, !index && len(r.manifests) > 0:
		return "", manifestInvalid("a manifest must have a config and layers, or manifests, but not both")
	}
	return mediaType, nil
}

// references reads what a stored manifest refers to.
func (f folder) references(digest v1.Hash) (references, error) {
	file, err := f.root.Open(blobPath(digest))
	if err != nil {
		return references{}, err
	}
	defer func() { _ = file.Close() }()
	return readReferences(file)
}
