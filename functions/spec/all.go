package spec

import (
	"slices"
	"strings"
)

// All are the built-in functions, sorted by name.
func All() []Function {
	all := slices.Concat(execFamily, taskFamily, workloadFamily, dataFamily, locationFamily, csiFamily, volumesFamily, kubeopsFamily, waitFamily, rdsFamily, ebsFamily, kopiaserverFamily)
	slices.SortFunc(all, func(a, b Function) int { return strings.Compare(a.ID, b.ID) })

	return all
}

// Lookup finds a built-in function by its exact name.
func Lookup(name string) (Function, bool) {
	for _, f := range All() {
		if f.ID == name {
			return f, true
		}
	}

	return Function{}, false
}

// Must is Lookup for implementations, which know that their entry is there.
func Must(name string) Function {
	f, ok := Lookup(name)
	if !ok {
		panic("no entry for function " + name)
	}

	return f
}
