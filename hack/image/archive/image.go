package archive

import (
	"fmt"
	"os"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// WriteImage writes a docker-archive with one image, named tag, to path; when path exists afterwards it is complete.
func WriteImage(path, tag string, config v1.Config, layers ...*Layer) error {
	return WriteTagged(path, []string{tag}, config, layers...)
}

// WriteTagged is WriteImage for an image with several names, the first of which is in errors.
func WriteTagged(path string, tags []string, config v1.Config, layers ...*Layer) error {
	tag := tags[0]
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		Architecture: runtime.GOARCH,
		OS:           "linux",
		Created:      v1.Time{Time: Epoch},
		Config:       config,
		RootFS:       v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return fmt.Errorf("configuring image %q: %w", tag, err)
	}
	for _, l := range layers {
		add := mutate.Addendum{Layer: l, History: v1.History{Created: v1.Time{Time: Epoch}, CreatedBy: "hack/image"}}
		if image, err = mutate.Append(image, add); err != nil {
			return fmt.Errorf("adding layer to image %q: %w", tag, err)
		}
	}
	refs := map[name.Reference]v1.Image{}
	for _, t := range tags {
		ref, err := name.NewTag(t)
		if err != nil {
			return fmt.Errorf("naming image: %w", err)
		}
		refs[ref] = image
	}
	if err := tarball.MultiRefWriteToFile(path+".new", refs); err != nil {
		return fmt.Errorf("writing image %q: %w", tag, err)
	}
	return os.Rename(path+".new", path)
}
