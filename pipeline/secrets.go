package pipeline

import "slices"

// SecretKeys returns the configuration keys whose value is a secret in some action type, sorted. Text that people
// will read hides their values whatever the action's type is: the type may be what is broken.
func SecretKeys() []string {
	var keys []string
	for i := range actionTypes {
		keys = append(keys, actionTypes[i].Secrets()...)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
