package pipeline

import "slices"

// Authored returns a live declaration as a person would write it into a file for that place: without what the service
// counts or fills in. Unlike [Canonical] it keeps the order of lists and the text of strings. region is the
// pipeline's own; an action that names it says nothing.
func Authored(live *Node, region string) *Node {
	d := authored(Declaration, live)
	for _, stage := range d.List("stages") {
		for _, action := range stage.List("actions") {
			dropIf(action, "region", region)
			dropDefaults(action)
		}
		for _, gate := range []string{"beforeEntry", "onSuccess", "onFailure"} {
			for _, condition := range stage.List(gate, "conditions") {
				for _, r := range condition.List("rules") {
					dropIf(r, "region", region)
				}
			}
		}
	}
	return d
}

// dropDefaults leaves out of an action's configuration what the service assumes anyway.
func dropDefaults(action *Node) {
	config, actionType := action.Get("configuration"), TypeOf(action)
	if config == nil || actionType == nil {
		return
	}
	for _, key := range actionType.Keys {
		if key.Default != "" {
			dropIf(config, key.Name, key.Default)
		}
	}
	if config.Kind == Object && len(config.Members) == 0 {
		action.Delete("configuration")
	}
}

func authored(s *Shape, n *Node) *Node {
	switch {
	case s == nil || n.Kind != s.Kind:
		return n.Clone()
	case n.Kind == Array:
		items := make([]*Node, len(n.Items))
		for i, item := range n.Items {
			items[i] = authored(s.Elem, item)
		}
		return NewArray(items...)
	case n.Kind != Object:
		return n.Clone()
	}
	o := NewObject()
	for _, m := range n.Members {
		shape := s.Elem // of a map
		if field := s.Field(m.Name); field != nil {
			if field.Server || m.Value.Kind == Null || field.Default != "" && canonical(field.Shape, m.Value).String() == field.Default {
				continue
			}
			shape = field.Shape
		}
		o.Members = append(o.Members, Member{Name: m.Name, Value: authored(shape, m.Value)})
	}
	return o
}

// Masked returns the places in a live declaration where the service shows its mask for a secret.
func Masked(live *Node) []MaskedSecret {
	var found []MaskedSecret
	for _, stage := range live.List("stages") {
		for _, action := range stage.List("actions") {
			config := action.Get("configuration")
			if config == nil {
				continue
			}
			for _, m := range config.Members {
				if m.Value.Kind == String && m.Value.Text == Mask {
					found = append(found, MaskedSecret{stage.Str("name"), action.Str("name"), m.Name, config})
				}
			}
		}
	}
	return slices.Clip(found)
}

// MaskedSecret is a setting of an action whose value the service hides.
type MaskedSecret struct {
	Stage, Action, Key string
	config             *Node
}

// Set gives the setting a value in the declaration that it was found in.
func (m MaskedSecret) Set(value string) { m.config.Set(m.Key, NewString(value)) }
