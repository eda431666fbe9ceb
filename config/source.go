package config

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Source says where desired pipelines come from: a git repository (URL) or a folder (Dir), never both.
type Source struct {
	Name     string        // unique; without a name of its own, the last part of its path, or host/path without .git
	URL      string        // absolute path of a local repository, or https://…, ssh://…, git@host:path; "" for a folder
	Dir      string        // absolute path of a folder, "" for a repository
	Branch   string        // at most one of Branch, Tag and Commit; none means the repository's HEAD
	Tag      string        //
	Commit   string        // 40 lower-case hexadecimal digits
	Path     string        // folder inside the source, slash-separated; "." is all of it
	Layout   Layout        //
	Interval time.Duration // between two looks at the source when nobody says that it moved
	Timeout  time.Duration // of one look
	Auth     Auth          // zero for local sources and for repositories that everybody may read
	Webhook  Webhook       // zero means none
	Targets  []string      // globs over target names: the only targets this source may touch; empty means all
}

// Layout says what the folders of a source mean.
type Layout string

// The layouts.
const (
	LayoutEverywhere Layout = "everywhere" // every file goes to every target, folders mean nothing
	LayoutByTarget   Layout = "by-target"  // the first folder is a target's name, or "all"
)

// Auth says how to log in to a repository, in one of four ways or none, and how to reach it. All files are absolute
// paths; they need not exist yet, because secrets are read when they are used, and so are new ones after a rotation.
type Auth struct {
	TokenFile string // https

	Username     string // https, with PasswordFile
	PasswordFile string

	SSHKeyFile           string // ssh, with KnownHostsFile: there is no ssh without either
	SSHKeyPassphraseFile string // "" for a key without one
	KnownHostsFile       string

	GitHubApp GitHubApp // https; zero means none

	CAFile string // https: trusted in addition to the system's authorities
	Proxy  string // https: an address with http or https; "" means what HTTPS_PROXY says
}

// GitHubApp is the installation of a GitHub App.
type GitHubApp struct {
	AppID          int64
	InstallationID int64
	PrivateKeyFile string
	BaseURL        string // of GitHub's API
}

// Webhook lets somebody tell that a source moved.
type Webhook struct {
	SecretFile string // absolute path; "" means that nobody is listened to
}

// complete fills in what follows from other keys; at is the path of the source.
func (s *Source) complete(d *decoder, at, folder string) {
	s.Dir, s.Path = absolute(folder, s.Dir), path.Clean(s.Path)
	repository, _ := parseRepository(s.URL)
	if repository.scheme == "" {
		s.URL = absolute(folder, s.URL)
	}
	for _, f := range s.files() {
		*f.path = absolute(folder, *f.path)
	}
	if s.Layout == "" {
		s.Layout = LayoutEverywhere
	}
	if s.Interval == 0 {
		s.Interval = time.Minute
	}
	if s.Timeout == 0 {
		s.Timeout = time.Minute
	}
	// A key of GitHub's signs for github.com only: for other hosts, somebody must say whom to show it to.
	if d.has(at+".auth.githubApp") && !d.has(at+".auth.githubApp.baseURL") && repository.host == "github.com" {
		s.Auth.GitHubApp.BaseURL = "https://api.github.com"
	}
	switch {
	case s.Name != "" || s.URL+s.Dir == "":
	case repository.scheme != "":
		s.Name = repository.name()
	default:
		place := strings.TrimSuffix(filepath.ToSlash(s.URL+s.Dir), "/.git")
		s.Name = strings.TrimSuffix(path.Base(place), ".git")
	}
}

// sourceFile is a file that a source needs beside its pipelines.
type sourceFile struct {
	key    string // below the source
	path   *string
	secret bool
}

// files returns every file that a source can need, whether it is set or not.
func (s *Source) files() []sourceFile {
	return []sourceFile{
		{"auth.tokenFile", &s.Auth.TokenFile, true},
		{"auth.passwordFile", &s.Auth.PasswordFile, true},
		{"auth.sshKeyFile", &s.Auth.SSHKeyFile, true},
		{"auth.sshKeyPassphraseFile", &s.Auth.SSHKeyPassphraseFile, true},
		{"auth.knownHostsFile", &s.Auth.KnownHostsFile, false},
		{"auth.githubApp.privateKeyFile", &s.Auth.GitHubApp.PrivateKeyFile, true},
		{"auth.caFile", &s.Auth.CAFile, false},
		{"webhook.secretFile", &s.Webhook.SecretFile, true},
	}
}

// validate reports whether the source has a name that can be compared with others.
func (s *Source) validate(d *decoder, at string) bool {
	if d.exactlyOne(at, "url", "dir") {
		s.validateAuth(d, at)
	}
	if d.has(at + ".webhook") {
		d.needs(at+".webhook", "secretFile")
	}
	var refs []string
	for _, key := range []string{"branch", "tag", "commit"} {
		if d.has(join(at, key)) {
			refs = append(refs, key)
		}
	}
	switch {
	case len(refs) > 0 && d.has(join(at, "dir")):
		d.faultAt(join(at, refs[0]), fmt.Sprintf("a folder has no %s", refs[0]), "for a git repository use url in place of dir")
	case len(refs) > 1:
		d.faultAt(join(at, refs[1]), "only one of branch, tag and commit can be given", "")
	}
	if s.Name != "" && isSourceName(s.Name) != nil {
		d.faultAt(at, fmt.Sprintf("no name can be made of the path %q", s.URL+s.Dir), "give the source a name")
		return false
	}
	return s.Name != ""
}

// login is one way to log in.
type login struct {
	keys []string // below auth
	ssh  bool     // else https
}

var logins = []login{
	{[]string{"tokenFile"}, false},
	{[]string{"username", "passwordFile"}, false},
	{[]string{"sshKeyFile", "sshKeyPassphraseFile", "knownHostsFile"}, true},
	{[]string{"githubApp"}, false},
}

// validateAuth holds the keys below auth to the address that they are for.
func (s *Source) validateAuth(d *decoder, at string) {
	auth := at + ".auth"
	repository, err := parseRepository(s.URL)
	switch {
	case s.URL+s.Dir == "" || err != nil: // the address was refused
		return
	case repository.scheme != "":
	case d.has(auth) && s.Dir != "":
		d.faultAt(auth, "a folder needs no auth", "")
		return
	case d.has(auth):
		d.faultAt(auth, "a repository on this machine needs no auth", "it is opened in place, with the rights of this process")
		return
	default:
		return
	}
	if !d.has(auth) && repository.scheme == "ssh" {
		d.faultAt(at+".url", "ssh wants auth", "auth: {sshKeyFile: …, knownHostsFile: …}")
		return
	}
	d.oneLogin(auth, repository)
	for _, key := range []string{"caFile", "proxy"} {
		if d.has(join(auth, key)) && (repository.scheme == "ssh" || key == "caFile" && repository.scheme != "https") {
			d.faultAt(join(auth, key), fmt.Sprintf("is for https, and the address is %s", repository.scheme), "")
		}
	}
}

// oneLogin complains unless there is at most one way to log in, whole, and the right one for the address.
func (d *decoder) oneLogin(auth string, r repository) {
	chosen := map[string]bool{}
	first := ""
	for _, way := range logins {
		for _, key := range way.keys {
			if !d.has(join(auth, key)) {
				continue
			}
			switch {
			case first == "":
				first = key
			case !chosen[way.keys[0]]:
				d.faultAt(join(auth, key), fmt.Sprintf("%s is set as well; there can be only one way to log in", first), "")
				return
			}
			chosen[way.keys[0]] = true
			if way.ssh != (r.scheme == "ssh") {
				want, hint := "https", "for ssh: sshKeyFile with knownHostsFile"
				if way.ssh {
					want, hint = "ssh", "for https: tokenFile, username with passwordFile, or githubApp"
				}
				d.faultAt(join(auth, key), fmt.Sprintf("is for %s, and the address is %s", want, r.scheme), hint)
				return
			}
		}
	}
	if chosen["username"] {
		d.needs(auth, "username")
		d.needs(auth, "passwordFile")
	}
	if r.scheme == "ssh" {
		d.needs(auth, "sshKeyFile")
		if !d.has(auth + ".knownHostsFile") {
			d.faultAt(auth, "knownHostsFile is missing", fmt.Sprintf("it says whom to trust, as ~/.ssh/known_hosts does; ssh-keyscan %s prints what to compare with what the host publishes", r.host))
		}
	}
	if chosen["githubApp"] {
		app := auth + ".githubApp"
		for _, key := range []string{"appId", "installationId", "privateKeyFile"} {
			d.needs(app, key)
		}
		if !d.has(app+".baseURL") && r.host != "github.com" {
			d.faultAt(app, "baseURL is missing", fmt.Sprintf("on a GitHub Enterprise Server it is https://%s/api/v3", r.host))
		}
	}
}
