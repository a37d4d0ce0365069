package template

import (
	"fmt"

	"github.com/go-viper/mapstructure/v2"
)

// Decode fills the struct that into points to from rendered arguments, weakly typed as upstream does (COMPAT §2.5): "3" into an
// int, true into a string as "1", a bare string into a list of one. Fields are named by the tag `mapstructure:"name"`, and only
// exactly that name matches. An argument that is absent or nil leaves its field untouched, so defaults are set beforehand.
// Arguments without a field are left alone: the check of names comes first.
func Decode(args map[string]any, into any) error {
	decoder, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result:           into,
		WeaklyTypedInput: true,
		MatchName:        func(key, field string) bool { return key == field },
	})
	if err != nil {
		return fmt.Errorf("decoding arguments: %w", err)
	}

	present := make(map[string]any, len(args))

	for name, value := range args {
		if value != nil {
			present[name] = value
		}
	}

	if err := decoder.Decode(present); err != nil {
		return fmt.Errorf("decoding arguments: %w", err)
	}

	return nil
}

// Canonical renames arguments that are spelt with an alias (alias -> name); args is not changed. An argument given under two
// spellings is an error.
func Canonical(args map[string]any, aliases map[string]string) (map[string]any, error) {
	out := make(map[string]any, len(args))
	spelt := make(map[string]string, len(args))

	for _, given := range sortedKeys(args) {
		name := given
		if canonical, ok := aliases[given]; ok {
			name = canonical
		}

		if other, twice := spelt[name]; twice {
			return nil, fmt.Errorf("reading argument %q: it is given as %q and as %q; keep one", name, other, given)
		}

		out[name], spelt[name] = args[given], given
	}

	return out, nil
}
