package deploy_test

import (
	"bytes"
	"flag"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/web"
)

var update = flag.Bool("update", false, "write kubernetes/monitoring/prometheusrule.yaml from prometheus/alerts.yml")

const (
	alertRules     = "prometheus/alerts.yml"
	prometheusRule = "kubernetes/monitoring/prometheusrule.yaml"
)

// ruleHead is a PrometheusRule up to its rules.
const ruleHead = `# Made from ` + alertRules + ` by: go test ./deploy -update
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: plumbline
  labels: {app.kubernetes.io/name: plumbline}
spec:
`

// ruleOf returns a file of alert rules as a PrometheusRule: its text, further in.
func ruleOf(rules []byte) []byte {
	out := []byte(ruleHead)
	for line := range bytes.Lines(rules) {
		if len(bytes.TrimSpace(line)) > 0 {
			out = append(out, "  "...)
		}
		out = append(out, line...)
	}
	return out
}

// TestKubernetesRules compares the PrometheusRule with the alert rules.
func TestKubernetesRules(t *testing.T) {
	rules := []byte(read(t, alertRules))
	want := ruleOf(rules)
	if *update {
		if err := os.WriteFile(prometheusRule, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(prometheusRule); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what %s says (%v); write it with: go test ./deploy -update", prometheusRule, alertRules, err)
	}
	asRules, err := documents(rules)
	asObject, err2 := documents(want)
	if err != nil || err2 != nil || dig(asRules[0], "groups") == nil || !reflect.DeepEqual(dig(asObject[0], "spec"), asRules[0]) {
		t.Errorf("the rules do not mean the same in both files: %v %v", err, err2)
	}
}

// TestRuleOf puts rules further in without a change of their meaning.
func TestRuleOf(t *testing.T) {
	rules := "# about\ngroups:\n  - name: a\n    rules:\n      - expr: |\n          x\n\n            and y\n"
	in, err := documents([]byte(rules))
	out, err2 := documents(ruleOf([]byte(rules)))
	if err != nil || err2 != nil || !reflect.DeepEqual(dig(out[0], "spec"), in[0]) || dig(out[0], "kind") != "PrometheusRule" {
		t.Errorf("%v %v: %v becomes %v", err, err2, in, out)
	}
}

// base returns the objects of the base by kind.
func base(t *testing.T) map[string]object {
	t.Helper()
	all := map[string]object{}
	for _, name := range words(mapping(t, "kubernetes/base/kustomization.yaml")["resources"]) {
		o := mapping(t, filepath.Join("kubernetes/base", name))
		kind, _ := o["kind"].(string)
		if all[kind] != nil {
			t.Errorf("%s: a second %s", name, kind)
		}
		all[kind] = o
	}
	return all
}

// TestKubernetes compares what the objects say of one another and of the program.
func TestKubernetes(t *testing.T) {
	all := base(t)
	versions := map[string]string{"Deployment": "apps/v1", "Service": "v1", "ServiceAccount": "v1", "PersistentVolumeClaim": "v1", "NetworkPolicy": "networking.k8s.io/v1"}
	for kind, version := range versions {
		if o := all[kind]; o["apiVersion"] != version || dig(o, "metadata", "name") != "plumbline" {
			t.Errorf("the %s is %v", kind, o)
		}
	}
	if len(all) != len(versions) {
		t.Errorf("%d kinds, of which this test knows %d", len(all), len(versions))
	}
	deployment, service := all["Deployment"], all["Service"]
	pod, _ := dig(deployment, "spec", "template", "spec").(object)
	labels := dig(deployment, "spec", "template", "metadata", "labels")
	monitor := mapping(t, "kubernetes/monitoring/servicemonitor.yaml")
	for what, pair := range map[string][2]any{
		"the Deployment selects its pods":           {dig(deployment, "spec", "selector", "matchLabels"), labels},
		"the Service selects the pods":              {dig(service, "spec", "selector"), labels},
		"the NetworkPolicy selects the pods":        {dig(all["NetworkPolicy"], "spec", "podSelector", "matchLabels"), labels},
		"the ServiceMonitor selects the Service":    {dig(monitor, "spec", "selector", "matchLabels"), dig(service, "metadata", "labels")},
		"one daemon at a time":                      {dig(deployment, "spec", "replicas"), 1},
		"the old one ends first":                    {dig(deployment, "spec", "strategy", "type"), "Recreate"},
		"the account is there":                      {pod["serviceAccountName"], dig(all["ServiceAccount"], "metadata", "name")},
		"no token of the account":                   {dig(all["ServiceAccount"], "automountServiceAccountToken"), false},
		"no token in the pod":                       {pod["automountServiceAccountToken"], false},
		"no variables of services":                  {pod["enableServiceLinks"], false},
		"one volume keeps the state for one writer": {dig(all["PersistentVolumeClaim"], "spec", "accessModes"), []any{"ReadWriteOnce"}},
		"a policy for both directions":              {dig(all["NetworkPolicy"], "spec", "policyTypes"), []any{"Ingress", "Egress"}},
	} {
		if pair[0] == nil || !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("not so: %s: %v, %v", what, pair[0], pair[1])
		}
	}
	for _, complaint := range unrestricted(pod) {
		t.Error(complaint)
	}

	container := items(pod["containers"])[0]
	cfg := configuration(t, "kubernetes/base/plumbline.yaml", imageVariables(t)...)
	ports := map[string]string{} // :: name → where it listens
	for _, p := range items(container["ports"]) {
		ports[p["name"].(string)] = ":" + text(p["containerPort"])
	}
	if want := map[string]string{"http": cfg.Web.Listen, "webhooks": cfg.Web.WebhookListen}; !reflect.DeepEqual(ports, want) {
		t.Errorf("the ports are %v, and it listens on %v", ports, want)
	}
	for _, p := range items(dig(service, "spec", "ports")) {
		if target, _ := p["targetPort"].(string); ports[target] == "" || p["name"] != target {
			t.Errorf("the Service has a port that is none of the pod: %v", p)
		}
	}
	for _, rule := range items(dig(all["NetworkPolicy"], "spec", "ingress")) {
		for _, p := range items(rule["ports"]) {
			if name, _ := p["port"].(string); ports[name] == "" || len(items(rule["from"])) == 0 {
				t.Errorf("the NetworkPolicy lets in %v", rule)
			}
		}
	}
	for _, e := range items(dig(monitor, "spec", "endpoints")) {
		if name, _ := e["port"].(string); ports[name] == "" || e["honorLabels"] != true || !answers(e["path"]) {
			t.Errorf("the ServiceMonitor asks %v", e)
		}
	}
	for _, probe := range []string{"startupProbe", "livenessProbe", "readinessProbe"} {
		get := dig(container, probe, "httpGet")
		if name, _ := dig(get, "port").(string); ports[name] == "" || !answers(dig(get, "path")) {
			t.Errorf("the %s asks %v, which nobody answers", probe, get)
		}
	}
	mounts := volumes(t, pod, container)
	if mounts["/etc/plumbline"] != "config" || mounts[cfg.State.Dir] != "state" || mounts[filepath.Dir(cfg.Sources[0].Auth.TokenFile)] != "secrets" {
		t.Errorf("the mounts are %v, the state in %s, the token in %s", mounts, cfg.State.Dir, cfg.Sources[0].Auth.TokenFile)
	}
}

// volumes returns which volume is mounted where, and complains of those that are not there.
func volumes(t *testing.T, pod, container object) map[string]string {
	t.Helper()
	at := map[string]string{}
	for _, m := range items(container["volumeMounts"]) {
		at[text(m["mountPath"])] = text(m["name"])
		if !slices.ContainsFunc(items(pod["volumes"]), func(v object) bool { return v["name"] == m["name"] }) {
			t.Errorf("there is no volume %v", m["name"])
		}
		if m["subPath"] != nil {
			t.Errorf("%v: what is mounted with subPath is never renewed", m["mountPath"])
		}
	}
	return at
}

// answers reports whether the private listener knows a path.
func answers(path any) bool {
	reply := httptest.NewRecorder()
	web.Admin(web.AdminConfig{Metrics: http.NotFoundHandler()}).ServeHTTP(reply, httptest.NewRequest(http.MethodGet, "/"+strings.TrimPrefix(text(path), "/"), nil))
	return reply.Code == http.StatusOK || path == "/metrics"
}

// unrestricted tells what keeps a pod out of a namespace with the Pod Security Standard "restricted", as that is
// defined in https://kubernetes.io/docs/concepts/security/pod-security-standards/, and what can be written in it.
func unrestricted(pod object) (complaints []string) {
	complain := func(wrong bool, complaint string) {
		if wrong {
			complaints = append(complaints, complaint)
		}
	}
	for _, key := range []string{"hostNetwork", "hostPID", "hostIPC"} {
		complain(pod[key] != nil, key+" is set")
	}
	complain(dig(pod, "securityContext", "runAsNonRoot") != true, "runAsNonRoot is not true")
	uid, _ := dig(pod, "securityContext", "runAsUser").(int)
	complain(uid == 0, "runAsUser is root or no number")
	complain(dig(pod, "securityContext", "seccompProfile", "type") != "RuntimeDefault", "the seccomp profile is not the runtime's")
	complain(len(items(pod["containers"])) != 1 || pod["initContainers"] != nil, "there is not one container")
	for _, c := range items(pod["containers"]) {
		own := dig(c, "securityContext")
		complain(dig(own, "allowPrivilegeEscalation") != false, "privileges can grow")
		complain(dig(own, "readOnlyRootFilesystem") != true, "the root file system can be written")
		complain(!reflect.DeepEqual(dig(own, "capabilities"), object{"drop": []any{"ALL"}}), "capabilities are left")
		complain(dig(own, "privileged") != nil || dig(own, "runAsUser") != nil || dig(own, "runAsNonRoot") != nil, "the container overrides the pod")
		complain(dig(c, "resources", "limits", "memory") == nil || dig(c, "resources", "requests", "cpu") == nil, "resources are not bounded")
		for _, p := range items(c["ports"]) {
			complain(p["hostPort"] != nil, "a port of the node is taken")
		}
	}
	for _, v := range items(pod["volumes"]) {
		complain(v["configMap"] == nil && v["secret"] == nil && v["persistentVolumeClaim"] == nil, "volume "+text(v["name"])+" is of a kind that restricted forbids or this test does not know")
	}
	return complaints
}

// TestUnrestricted shows that each loosening is seen.
func TestUnrestricted(t *testing.T) {
	for what, loosen := range map[string]func(pod, container object){
		"hostNetwork": func(pod, _ object) { pod["hostNetwork"] = true },
		"not true":    func(pod, _ object) { delete(pod["securityContext"].(object), "runAsNonRoot") },
		"is root":     func(pod, _ object) { pod["securityContext"].(object)["runAsUser"] = 0 },
		"seccomp":     func(pod, _ object) { pod["securityContext"].(object)["seccompProfile"] = object{"type": "Unconfined"} },
		"grow":        func(_, c object) { delete(c["securityContext"].(object), "allowPrivilegeEscalation") },
		"written":     func(_, c object) { c["securityContext"].(object)["readOnlyRootFilesystem"] = false },
		"left": func(_, c object) {
			c["securityContext"].(object)["capabilities"] = object{"drop": []any{"ALL"}, "add": []any{"NET_ADMIN"}}
		},
		"overrides": func(_, c object) { c["securityContext"].(object)["runAsUser"] = 0 },
		"bounded":   func(_, c object) { delete(c, "resources") },
		"forbids":   func(pod, _ object) { pod["volumes"] = []any{object{"name": "x", "hostPath": object{"path": "/"}}} },
	} {
		pod := dig(base(t)["Deployment"], "spec", "template", "spec").(object)
		loosen(pod, items(pod["containers"])[0])
		if got := unrestricted(pod); len(got) != 1 || !strings.Contains(got[0], what) {
			t.Errorf("%s: %q", what, got)
		}
	}
}

// TestKustomizations looks for each file that a kustomization names, and for files that none names.
func TestKustomizations(t *testing.T) {
	named := map[string]bool{}
	var there []string
	err := filepath.WalkDir("kubernetes", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		if d.Name() != "kustomization.yaml" {
			there = append(there, path)
			return nil
		}
		k := mapping(t, path)
		files := words(k["resources"])
		for _, g := range items(k["configMapGenerator"]) {
			files = append(files, words(g["files"])...)
		}
		for _, file := range append(files, words(k["components"])...) {
			file = filepath.Join(filepath.Dir(path), file)
			named[file] = true
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s names what is not there: %v", path, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range there {
		if !named[file] {
			t.Errorf("no kustomization names %s", file)
		}
	}
}

// TestKustomize builds the overlays, where kubectl is there to do it.
func TestKustomize(t *testing.T) {
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Skip("there is no kubectl")
	}
	for overlay, want := range map[string][]string{
		"irsa":         {"eks.amazonaws.com/role-arn: arn:aws:iam::111122223333:role/plumbline"},
		"pod-identity": {"cidr: 169.254.170.23/32", "port: 80"},
	} {
		out, err := exec.CommandContext(t.Context(), "kubectl", "kustomize", "kubernetes/overlays/"+overlay).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", overlay, err, out)
			continue
		}
		all, err := documents(out)
		if err != nil || len(all) != 9 {
			t.Errorf("%s: %d objects, want 9: %v", overlay, len(all), err)
		}
		for _, o := range all {
			if dig(o, "kind") != "Namespace" && dig(o, "metadata", "namespace") != "plumbline" {
				t.Errorf("%s: %v is not in the namespace", overlay, dig(o, "kind"))
			}
		}
		for _, text := range append(want, "image: registry.example.com/plumbline:v0.1.0", "pod-security.kubernetes.io/enforce: restricted", "name: plumbline\n  namespace") {
			if !bytes.Contains(out, []byte(text)) {
				t.Errorf("%s: no %q in:\n%s", overlay, text, out)
			}
		}
	}
}
