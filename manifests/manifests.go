// Package manifests embeds what can be applied as it is: the built-in blueprints. They are ordinary blueprints; nothing in
// them is out of a user's reach.
package manifests

import (
	"embed"
	"path"
	"slices"
	"strings"
)

//go:embed blueprints
var files embed.FS

// Blueprint is the built-in blueprint of this name as YAML.
func Blueprint(name string) ([]byte, bool) {
	data, err := files.ReadFile(path.Join("blueprints", name+".yaml"))

	return data, err == nil
}

// BlueprintNames are the names of the built-in blueprints, sorted.
func BlueprintNames() []string {
	entries, err := files.ReadDir("blueprints")
	if err != nil {
		return nil
	}

	var names []string

	for _, entry := range entries {
		if name, ok := strings.CutSuffix(entry.Name(), ".yaml"); ok {
			names = append(names, name)
		}
	}

	slices.Sort(names)

	return names
}
