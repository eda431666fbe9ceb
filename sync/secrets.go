package sync

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	stdsync "sync"

	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
)

// TagSecrets is the tag that says which versions of which secrets were applied: 1.<seal>.<seal>…, sorted, a seal for
// each reference. It holds no secret and no digest of one, only of what everybody may know who may see the pipeline.
const TagSecrets = pipeline.TagPrefix + "secrets"

// sealLength is how many bytes of a digest a seal is. Two versions of one secret have to have different ones.
const sealLength = 5

// seal stands for one version of one secret.
func seal(ref pipeline.Reference, version string) string {
	sum := sha256.Sum256([]byte(ref.String() + "\n" + version))
	return hex.EncodeToString(sum[:sealLength])
}

// sealTag returns the value of the tag for the versions that were applied. At most pipeline.MaxReferences seals fit
// into the 256 characters of a tag's value.
func sealTag(versions map[pipeline.Reference]string) string {
	var seals []string
	for ref, version := range versions {
		seals = append(seals, seal(ref, version))
	}
	slices.Sort(seals)
	return "1." + strings.Join(slices.Compact(seals), ".")
}

// sealed reports whether the tag says that this version of a secret was applied.
func sealed(tag string, ref pipeline.Reference, version string) bool {
	rest, known := strings.CutPrefix(tag, "1.")
	return known && slices.Contains(strings.Split(rest, "."), seal(ref, version))
}

// vault remembers for one pass which versions of secrets are current: many pipelines use the same one.
type vault struct {
	mu   stdsync.Mutex
	seen map[pipeline.Reference]secretVersion
}

type secretVersion struct {
	version string
	err     error
}

// version returns the version that a reference means now.
func (v *vault) version(ctx context.Context, r Reader, ref pipeline.Reference) (string, error) {
	if ref.Version != "" {
		return ref.Version, nil
	}
	v.mu.Lock() // also during the call: who else looks at this secret would only ask the same
	defer v.mu.Unlock()
	found, ok := v.seen[ref.Whole()]
	if !ok {
		found.version, found.err = r.SecretVersion(ctx, ref.Whole())
		if v.seen == nil {
			v.seen = map[pipeline.Reference]secretVersion{}
		}
		v.seen[ref.Whole()] = found
	}
	return found.version, found.err
}

// unsealed reports whether the file refers to secrets and no tag says that any was applied.
func (c *consideration) unsealed() bool {
	return c.facts.owner == Managed && c.l.Tags[TagSecrets] == "" && len(c.w.Document.References()) > 0
}

// lookAtSecrets finds the present versions of the secrets that an update would send. Where something else differs, it
// is written anyway, with the secrets as they are then.
func (c *consideration) lookAtSecrets(ctx context.Context) error {
	refs := pipeline.References(c.body())
	if c.facts.content != equal || c.facts.owner != Managed || len(refs) == 0 {
		return nil
	}
	c.secrets = map[pipeline.Reference]string{}
	for _, ref := range refs {
		version, err := c.vault.version(ctx, c.Target.Live, ref)
		if err != nil {
			return fmt.Errorf("%s, which its file refers to, cannot be looked at, so whether it was rotated is not known: %w%s", ref.What(), err, secretRemedy(err))
		}
		c.secrets[ref] = version
	}
	return nil
}

// compareSecrets notes which secrets are not those that were applied.
func (c *consideration) compareSecrets() {
	c.facts.rotated, c.rotated = false, nil
	for _, ref := range pipeline.References(c.body()) {
		if version, looked := c.secrets[ref]; looked && !sealed(c.l.Tags[TagSecrets], ref, version) {
			c.facts.rotated = true
			c.rotated = append(c.rotated, ref)
		}
	}
}

// rotations says which secrets make an update due.
func (c *consideration) rotations() (notes []string) {
	for _, ref := range c.rotated {
		switch {
		case c.l.Tags[TagSecrets] == "":
			notes = append(notes, ref.What()+" has not been applied yet")
		case c.facts.desired:
			notes = append(notes, ref.What()+" is not what was applied: the file names another one, or it was rotated")
		default:
			notes = append(notes, ref.What()+" was rotated since it was applied")
		}
	}
	return notes
}

// resolve returns what is sent for a change: its body with secrets in place of references. That is for the call
// alone; neither the change nor the journal ever has it. tags are those that the pipeline has.
func (p *pass) resolve(ctx context.Context, c *Change, tags map[string]string) (*pipeline.Node, error) {
	if c.Verb != Create && c.Verb != Update || c.wanted == nil { // what is restored is from AWS: no reference in it is a file's
		return c.body, nil
	}
	refs := pipeline.References(c.body)
	if len(refs) == 0 {
		if _, stale := tags[TagSecrets]; stale && !slices.Contains(c.untag, TagSecrets) {
			c.untag = append(c.untag, TagSecrets) // what it says was applied, this write replaces
		}
		return c.body, nil
	}
	values, versions := map[pipeline.Reference]string{}, map[pipeline.Reference]string{}
	for _, ref := range refs {
		value, version, err := p.Target.Writer.Secret(ctx, ref)
		if err != nil {
			return nil, fmt.Errorf("%s cannot be read, so nothing was written: %w%s", ref.What(), err, secretRemedy(err))
		}
		values[ref], versions[ref] = value, version
	}
	c.seal = sealTag(versions)
	return pipeline.Resolve(c.body, values), nil
}

// secretRemedy says what to do about a secret that cannot be had.
func secretRemedy(err error) string {
	switch live.ClassOf(err) {
	case live.Denied:
		return "; allow it to the credentials of the target (`plumbline iam-policy` prints the statement), and kms:Decrypt where the secret is encrypted with a key of your own"
	case live.NotFound:
		return "; see that the reference names a secret of this account and region"
	case live.Invalid:
		return "; mend the secret, or the reference to it"
	}
	return ""
}
