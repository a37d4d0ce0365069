package archive

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// Tree is what lies below root, placed below prefix and owned by root, without the files that leave says to leave out (by
// their path relative to root).
func Tree(root, prefix string, leave func(rel string) bool) ([]File, error) {
	var files []File
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil || !d.IsDir() && leave(rel) {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		f := File{Path: path.Join(prefix, rel), Mode: info.Mode()}
		switch {
		case d.IsDir():
		case info.Mode()&fs.ModeSymlink != 0:
			if f.Link, err = os.Readlink(name); err != nil {
				return err
			}
		default:
			f.Source = name
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", root, err)
	}
	return files, nil
}
