package emulator

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxSecrets        = 1000 // secrets, and parameters, of an account and region
	maxSecretVersions = 100  // of a secret or parameter that are kept; the service, too, keeps about a hundred
)

// Secret is a new version of a secret of Secrets Manager. Its values never show in the history.
type Secret struct {
	Account string `json:"account"` // empty: Options.Account
	Region  string `json:"region"`
	Name    string `json:"name"`
	Value   string `json:"value"`  // SecretString
	Binary  []byte `json:"binary"` // SecretBinary, in place of Value; Base64 in JSON
}

// Parameter is a new version of a parameter of Systems Manager.
type Parameter struct {
	Account string `json:"account"` // empty: Options.Account
	Region  string `json:"region"`
	Name    string `json:"name"`
	Value   string `json:"value"`
	Type    string `json:"type"` // empty: SecureString
}

// vault is what one account keeps in one region.
type vault struct {
	secrets    map[string]*storedSecret // :: name → secret
	parameters map[string]*storedParameter
}

type storedSecret struct {
	arn      string
	changed  time.Time
	versions []secretVersion // oldest first; the last is AWSCURRENT, the one before it AWSPREVIOUS
}

type secretVersion struct {
	id     string
	text   string
	binary []byte
}

type storedParameter struct {
	name     string
	first    int // the number of the oldest version that is kept
	versions []Parameter
}

// SetSecret keeps a secret, or rotates it: what was AWSCURRENT becomes AWSPREVIOUS. It returns the id of the version.
func (s *Server) SetSecret(secret Secret) (version string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, sc, err := s.vaultFor(secret.Account, secret.Region, secret.Name)
	if err != nil {
		return "", err
	}
	stored := v.secrets[secret.Name]
	if stored == nil {
		if len(v.secrets) == maxSecrets {
			return "", fmt.Errorf("more than %d secrets", maxSecrets)
		}
		stored = &storedSecret{arn: fmt.Sprintf("arn:%s:secretsmanager:%s:%s:secret:%s-%s", partition(sc.region), sc.region, sc.account, secret.Name, rand.Text()[:6])}
		v.secrets[secret.Name] = stored
	}
	stored.changed = s.now()
	stored.versions = append(stored.versions, secretVersion{newUUID(), secret.Value, secret.Binary})
	stored.versions = stored.versions[max(0, len(stored.versions)-maxSecretVersions):]
	return stored.versions[len(stored.versions)-1].id, nil
}

// SetParameter keeps a parameter, or its next version, and returns the number of that.
func (s *Server) SetParameter(p Parameter) (version int, err error) {
	if p.Type == "" {
		p.Type = "SecureString"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, _, err := s.vaultFor(p.Account, p.Region, p.Name)
	if err != nil {
		return 0, err
	}
	stored := v.parameters[p.Name]
	if stored == nil {
		if len(v.parameters) == maxSecrets {
			return 0, fmt.Errorf("more than %d parameters", maxSecrets)
		}
		stored = &storedParameter{name: p.Name, first: 1}
		v.parameters[p.Name] = stored
	}
	stored.versions = append(stored.versions, p)
	if len(stored.versions) > maxSecretVersions {
		stored.versions, stored.first = stored.versions[1:], stored.first+1
	}
	return stored.current(), nil
}

func (p *storedParameter) current() int { return p.first + len(p.versions) - 1 }

// vaultFor needs the lock.
func (s *Server) vaultFor(account, region, name string) (*vault, scope, error) {
	if account == "" {
		account = s.opts.Account
	}
	sc := scope{account, region}
	switch {
	case region == "" || name == "" || !isAccount(account):
		return nil, sc, errors.New("a secret needs a region, a name, and an account of twelve digits or none")
	case s.vaults[sc] == nil && len(s.vaults) == maxScopes:
		return nil, sc, fmt.Errorf("more than %d accounts and regions", maxScopes)
	case s.vaults[sc] == nil:
		s.vaults[sc] = &vault{map[string]*storedSecret{}, map[string]*storedParameter{}}
	}
	return s.vaults[sc], sc, nil
}

// findSecret is the secret that a request names: by its name, its ARN, or its ARN without the six letters that AWS adds.
func (s *Server) findSecret(c *call) (name string, stored *storedSecret, err error) {
	id := text(c.input, "SecretId")
	if id == "" {
		return "", nil, refuse("ValidationException", "1 validation error detected: Value at 'secretId' failed to satisfy constraint: Member must not be null")
	}
	if v := s.vaults[c.scope()]; v != nil {
		for _, name := range slices.Sorted(maps.Keys(v.secrets)) {
			stored := v.secrets[name]
			if id == name || id == stored.arn || id == stored.arn[:len(stored.arn)-len("-AbCdEf")] {
				return name, stored, nil
			}
		}
	}
	return "", nil, refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

func (st *storedSecret) stages(i int) []string {
	switch i {
	case len(st.versions) - 1:
		return []string{"AWSCURRENT"}
	case len(st.versions) - 2:
		return []string{"AWSPREVIOUS"}
	}
	return []string{}
}

func (s *Server) describeSecret(c *call) (any, error) {
	name, stored, err := s.findSecret(c)
	if err != nil {
		return nil, err
	}
	stages := map[string][]string{} // versions without a label are not listed
	for i := max(0, len(stored.versions)-2); i < len(stored.versions); i++ {
		stages[stored.versions[i].id] = stored.stages(i)
	}
	return map[string]any{"ARN": stored.arn, "Name": name, "LastChangedDate": epoch(stored.changed), "VersionIdsToStages": stages}, nil
}

func (s *Server) getSecretValue(c *call) (any, error) {
	name, stored, err := s.findSecret(c)
	if err != nil {
		return nil, err
	}
	stage, id := text(c.input, "VersionStage"), text(c.input, "VersionId")
	if stage == "" && id == "" {
		stage = "AWSCURRENT"
	}
	for i, v := range stored.versions {
		if id != "" && v.id != id || stage != "" && !slices.Contains(stored.stages(i), stage) {
			continue
		}
		out := map[string]any{"ARN": stored.arn, "Name": name, "VersionId": v.id, "VersionStages": stored.stages(i), "CreatedDate": epoch(stored.changed)}
		if v.binary != nil {
			out["SecretBinary"] = v.binary
		} else {
			out["SecretString"] = v.text
		}
		return out, nil
	}
	if id != "" {
		return nil, refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: %s", id)
	}
	return nil, refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: %s", stage)
}

// getParameter takes NAME and NAME:VERSION; labels are not modelled.
func (s *Server) getParameter(c *call) (any, error) {
	name, selector, selected := strings.Cut(text(c.input, "Name"), ":")
	var stored *storedParameter
	if v := s.vaults[c.scope()]; v != nil {
		stored = v.parameters[name]
	}
	if stored == nil {
		return nil, refuse("ParameterNotFound", "")
	}
	version := stored.current()
	if selected {
		version, _ = strconv.Atoi(selector)
	}
	if version < stored.first || version > stored.current() {
		return nil, refuse("ParameterVersionNotFound", "Systems Manager could not find version %s of %s. Verify the version and try again.", selector, name)
	}
	p := stored.versions[version-stored.first]
	value := p.Value
	if decrypt, _ := c.input["WithDecryption"].(bool); p.Type == "SecureString" && !decrypt {
		value = "AQICAHh" + rand.Text() // stands for what is encrypted
	}
	return map[string]any{"Parameter": map[string]any{
		"Name": name, "Type": p.Type, "Value": value, "Version": version, "DataType": "text",
		"ARN": fmt.Sprintf("arn:%s:ssm:%s:%s:parameter/%s", partition(c.record.Region), c.record.Region, c.record.Account, strings.TrimPrefix(name, "/")),
	}}, nil
}
