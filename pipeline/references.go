package pipeline

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// namespace is what an action calls its variables, from when it has run on.
type namespace struct {
	moment
	action *Node
}

// variables follows variables: from the action that makes them, or the pipeline's own list, to the configuration
// values that name them as #{namespace.key}.
func (c *checker) variables(declaration *Node, producers map[string]producer) {
	r := references{checker: c, declaration: declaration, sure: true}
	for i, stage := range declaration.List("stages") {
		for _, action := range stage.List("actions") {
			if n := action.Get("namespace"); n != nil && n.Kind == String && n.Text != "" {
				r.declare(n, namespace{momentOf(i, action), action}, producers)
			}
		}
	}
	for i, stage := range declaration.List("stages") {
		for _, action := range stage.List("actions") {
			r.user = user{moment: momentOf(i, action), action: action}
			r.configuration(action.Get("configuration"))
		}
		for _, gate := range gates {
			for _, condition := range stage.List(gate, "conditions") {
				for _, rule := range condition.List("rules") {
					r.user = user{moment: gateMoment(i, gate), rule: rule}
					r.configuration(rule.Get("configuration"))
				}
			}
		}
	}
	r.literals(declaration)
}

// gateMoment is when a gate of a stage is judged: before all actions of the stage, or after them.
func gateMoment(stage int, gate string) moment {
	if gate == "beforeEntry" {
		return moment{stage, math.MinInt64}
	}
	return moment{stage, math.MaxInt64}
}

// references checks the references of one declaration.
type references struct {
	*checker
	declaration *Node
	spaces      map[string]namespace
	sure        bool // no namespace is unknown without a target
	user        user

	rules, declaredVariables map[string]bool // the names of both, once they are needed
	anyRule, anyVariable     bool            // one of them is unknown without a target
}

// user is what names a variable: an action or a rule of a condition.
type user struct {
	moment
	action, rule *Node
}

func (u user) String() string {
	if u.rule != nil {
		return fmt.Sprintf("rule %q", u.rule.Str("name"))
	}
	return fmt.Sprintf("action %q", u.action.Str("name"))
}

// declare checks the namespace of an action and remembers it.
func (r *references) declare(name *Node, space namespace, producers map[string]producer) {
	if r.opaque[name] {
		r.sure = false
		return
	}
	if earlier, taken := r.spaces[name.Text]; taken {
		r.report(name, "CP-N01", "give each action a namespace of its own", "the namespace %q is taken by action %q at line %d", name.Text, earlier.action.Str("name"), r.file.line(earlier.action.Get("namespace").Offset))
		return
	}
	if made, taken := producers[name.Text]; taken {
		r.report(name, "CP-N02", "rename one of them", "the namespace %q is also the name of an artifact, which action %q makes; AWS's guide forbids that", name.Text, made.action.Str("name"))
	}
	switch {
	case name.Text == "codepipeline":
		r.report(name, "CP-N03", `name it after the action, such as "BuildVariables"`, "the namespace codepipeline is AWS's own")
	case name.Text == "variables" && len(r.declaration.List("variables")) > 0, name.Text == "rule":
		r.warn(name, "CP-N03", `name it after the action, such as "BuildVariables"`, "the namespace %q has another meaning in references; whether AWS takes it is not documented", name.Text)
	}
	if r.spaces == nil {
		r.spaces = map[string]namespace{}
	}
	r.spaces[name.Text] = space
}

// configuration checks every value of an action's or a rule's configuration.
func (r *references) configuration(n *Node) {
	if n == nil || n.Kind != Object {
		return
	}
	for _, m := range n.Members {
		if m.Value.Kind == String && strings.Contains(m.Value.Text, "#{") && !r.opaque[m.Value] {
			scan(m.Value.Text, func(index int, text string, closed bool) { r.reference(m, index, text, closed) })
		}
	}
}

// scan calls visit for each #{…} of a text, with what stands between the braces.
func scan(text string, visit func(index int, reference string, closed bool)) {
	for at := 0; ; {
		start := strings.Index(text[at:], "#{")
		if start < 0 {
			return
		}
		start += at
		end := strings.IndexByte(text[start:], '}')
		if end < 0 {
			visit(start, text[start+2:], false)
			return
		}
		end += start
		start += strings.LastIndex(text[start:end], "#{") // of #{a#{b} only the last is closed
		visit(start, text[start+2:end], true)
		at = end + 1
	}
}

// wellFormed splits a reference into namespace and key.
func wellFormed(reference string) (space, key string, ok bool) {
	space, key, _ = strings.Cut(reference, ".")
	return space, key, isVariableName(space, false) && isVariableName(key, true)
}

func isVariableName(s string, dots bool) bool {
	return s != "" && !strings.HasPrefix(s, ".") && !strings.HasSuffix(s, ".") && strings.IndexFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-' || r == '@' || dots && r == '.')
	}) < 0
}

// tell reports what AWS refuses in an action. Of rules in conditions nobody has published a refusal, so there the
// finding is a warning: the reference cannot work, but perhaps only a run will show it.
func (r *references) tell(at placed, rule, hint, format string, args ...any) {
	if r.user.rule != nil {
		r.warn(at, rule, hint, format, args...)
		return
	}
	r.report(at, rule, hint, format, args...)
}

// reference checks one #{…} in the value of a configuration key.
func (r *references) reference(m Member, index int, text string, closed bool) {
	if r.full() {
		return
	}
	space, key, ok := wellFormed(text)
	at := r.within(m.Value, index)
	from, known := r.spaces[space]
	text, m.Name = shorten(text, 120), shorten(m.Name, 50)
	switch {
	case !closed:
		r.warn(at, "CP-N04", "write #{namespace.key}; other uses of #{ may be refused", "%s of %s has a #{ that is never closed", m.Name, r.user)
	case !ok:
		r.warn(at, "CP-N04", mendReference(text), "#{%s} in %s of %s is no reference: AWS takes a namespace and a key separated by a period, and may refuse others", text, m.Name, r.user)
	case space == "codepipeline":
		r.own(at, m, key)
	case space == "rule" && !known:
		r.ofRule(at, m, key)
	case space == "variables" && !known:
		r.ofPipeline(at, m, key)
	case !known && !r.sure:
		// perhaps a namespace that differs by target
	case !known:
		r.tell(at, "CP-N04", r.hintNamespace(space), "#{%s} in %s of %s names the namespace %q, which no action has", text, m.Name, r.user, shorten(space, 100))
	case from.action == r.user.action:
		r.tell(at, "CP-N05", "an action's variables exist only after it has run", "#{%s} in %s of %s is a variable that the action makes itself", text, m.Name, r.user)
	case !from.before(r.user.moment):
		r.tell(at, "CP-N05", r.hintOrder(from), "#{%s} in %s of %s is made by action %q, which has not run before", text, m.Name, r.user, from.action.Str("name"))
	default:
		r.key(at, m, from, text, key)
	}
}

func mendReference(text string) string {
	mended := strings.NewReplacer(" ", "", "\t", "", ":", ".", "/", ".").Replace(text)
	if _, _, ok := wellFormed(mended); ok {
		return fmt.Sprintf("write #{%s}", mended)
	}
	return "write #{namespace.key}"
}

// own checks a reference to AWS's own namespace.
func (r *references) own(at place, m Member, key string) {
	if key == "PipelineExecutionId" {
		return
	}
	hint := didYouMean(key, []string{"PipelineExecutionId"})
	if r.declared(key) {
		hint = fmt.Sprintf("write #{variables.%s}", key)
	}
	r.report(at, "CP-N12", hint, "#{codepipeline.%s} in %s of %s: AWS documents only #{codepipeline.PipelineExecutionId}", shorten(key, 100), m.Name, r.user)
}

// ofRule checks #{rule.NAME} and #{rule.NAME.key}.
func (r *references) ofRule(at place, m Member, key string) {
	if r.rules == nil {
		r.rules = map[string]bool{}
		for _, stage := range r.declaration.List("stages") {
			for _, gate := range gates {
				for _, condition := range stage.List(gate, "conditions") {
					for _, rule := range condition.List("rules") {
						r.rules[rule.Str("name")] = true
						r.anyRule = r.anyRule || r.opaque[rule.Get("name")]
					}
				}
			}
		}
	}
	if r.anyRule || r.rules[key] {
		return
	}
	for i := range min(len(key), 100) { // the names of rules may have dots
		if key[i] == '.' && r.rules[key[:i]] {
			return
		}
	}
	r.warn(at, "CP-N04", "write #{rule.NAME} with the name of a rule in a condition", "#{rule.%s} in %s of %s names no rule of this pipeline", shorten(key, 100), m.Name, r.user)
}

// ofPipeline checks a reference to a variable of the pipeline.
func (r *references) ofPipeline(at place, m Member, key string) {
	known := r.declared(key)
	switch {
	case r.anyVariable:
	case !known:
		hint := fmt.Sprintf(`add {"name": %q} to variables`, shorten(key, 100))
		if closest := Closest(key, slices.Sorted(maps.Keys(r.declaredVariables))); closest != "" {
			hint = fmt.Sprintf("did you mean #{variables.%s}?", closest)
		}
		r.tell(at, "CP-N07", hint, "#{variables.%s} in %s of %s is not declared under variables", shorten(key, 100), m.Name, r.user)
	case r.user.action != nil && isSource(r.user.action):
		r.report(at, "CP-N08", "write the value itself", "#{variables.%s} in %s of %s: source actions cannot use the pipeline's variables", shorten(key, 100), m.Name, r.user)
	}
}

// declared reports whether the pipeline has a variable of that name.
func (r *references) declared(name string) bool {
	if r.declaredVariables == nil {
		r.declaredVariables = map[string]bool{}
		for _, v := range r.declaration.List("variables") {
			r.declaredVariables[v.Str("name")] = true
			r.anyVariable = r.anyVariable || r.opaque[v.Get("name")]
		}
	}
	return r.declaredVariables[name]
}

// key checks that the action makes a variable of that name, where it is known what its type makes.
func (r *references) key(at place, m Member, from namespace, text, key string) {
	names, open := r.outputVariables(from.action)
	if open || slices.Contains(names, key) {
		return
	}
	provider := from.action.Str("actionTypeId", "provider")
	if len(names) == 0 {
		r.report(at, "CP-N12", "see what the action reports in the list of action executions", "#{%s} in %s of %s: AWS documents no variables of %s actions", text, m.Name, r.user, provider)
		return
	}
	hint := "known: " + strings.Join(names, ", ")
	if closest := Closest(key, names); closest != "" {
		hint = fmt.Sprintf("did you mean %q? %s", closest, hint)
	}
	r.report(at, "CP-N12", hint, "#{%s} in %s of %s: %s actions are not documented to make the variable %q", text, m.Name, r.user, provider, shorten(key, 100))
}

// hintNamespace names the namespaces that could be meant, or says how to get one.
func (r *references) hintNamespace(space string) string {
	var earlier []string
	for name, from := range r.spaces {
		if from.before(r.user.moment) {
			earlier = append(earlier, name)
		}
		if len(earlier) > manyArtifacts {
			return ""
		}
	}
	slices.Sort(earlier)
	if closest := Closest(space, earlier); closest != "" {
		return fmt.Sprintf("did you mean %q?", closest)
	}
	if r.declared(space) {
		return fmt.Sprintf("write #{variables.%s}", shorten(space, 100))
	}
	return fmt.Sprintf(`give the action that makes it "namespace": %q`, shorten(space, 100))
}

func (r *references) hintOrder(from namespace) string {
	if from.stage == r.user.stage && r.user.action != nil {
		return fmt.Sprintf("give %q a runOrder above %d", r.user.action.Str("name"), from.order)
	}
	return "move one of them to another stage"
}

// literals warns of references in fields where AWS replaces none.
func (r *references) literals(declaration *Node) {
	r.literal(declaration, "roleArn")
	r.literal(declaration, "artifactStore", "encryptionKey", "id")
	if stores := declaration.Get("artifactStores"); stores != nil {
		for _, m := range stores.Members {
			r.literal(m.Value, "encryptionKey", "id")
		}
	}
	for _, v := range declaration.List("variables") {
		r.literal(v, "defaultValue")
	}
	for _, stage := range declaration.List("stages") {
		for _, action := range stage.List("actions") {
			r.literal(action, "roleArn")
		}
	}
}

func (r *references) literal(n *Node, path ...string) {
	value := n.Get(path...)
	if value == nil || value.Kind != String || !strings.Contains(value.Text, "#{") {
		return
	}
	scan(value.Text, func(index int, text string, closed bool) {
		if _, _, ok := wellFormed(text); ok && closed {
			r.report(r.within(value, index), "CP-N09", "AWS replaces references in the values of configuration only; write the value itself", "#{%s} in %s is taken literally", shorten(text, 120), path[len(path)-1])
		}
	})
}

// outputVariables returns the variables that an action makes; open says that it may make others too, or that it is
// not known what it makes.
func (c *checker) outputVariables(action *Node) (names []string, open bool) {
	if action.Str("actionTypeId", "provider") == "Commands" {
		for _, v := range action.List("outputVariables") {
			names = append(names, v.Text)
		}
		return names, false
	}
	row := c.rowOf(action)
	if row == nil {
		return nil, true
	}
	return row.Variables, row.AnyVariables
}
