package source

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
)

// Auth says how to show a remote repository who we are. Secrets are in files, which are read again at each
// use, so that they may be rotated under a running program; one newline at the end is not part of them.
type Auth struct {
	// For https, at most one of these three. Without any, the repository is read anonymously.
	TokenFile    string     // an access token, sent as the password of basic authentication
	PasswordFile string     // the password of Username
	GitHubApp    *GitHubApp // short-lived tokens, made with the key of a GitHub App

	// Username goes with PasswordFile, and may go with TokenFile, where "" means x-access-token: GitHub, GitLab
	// and Gitea take any, Bitbucket wants x-token-auth. For ssh the user is in the url, and "git" if it is not.
	Username string

	// For ssh: the private key is required, its passphrase only if it has one.
	SSHKeyFile           string
	SSHKeyPassphraseFile string
	KnownHostsFile       string // the host keys that are trusted; "" means ~/.ssh/known_hosts. There is no way around it
}

// check says what is wrong with an Auth for a repository of the scheme.
func (a Auth) check(scheme string) error {
	if a == (Auth{}) && scheme != "ssh" {
		return nil
	}
	ways := 0
	for _, set := range []bool{a.TokenFile != "", a.PasswordFile != "", a.GitHubApp != nil} {
		if set {
			ways++
		}
	}
	ssh := a.SSHKeyFile != "" || a.SSHKeyPassphraseFile != "" || a.KnownHostsFile != ""
	switch {
	case scheme == "":
		return errors.New("auth is for remote repositories, and the source is a folder or a repository on this machine: leave it out")
	case scheme == "ssh" && (ways > 0 || a.Username != ""):
		return errors.New("a url of the form ssh:// or user@host:path takes auth.sshKeyFile and auth.knownHostsFile: the rest is for https")
	case scheme == "ssh" && a.SSHKeyFile == "":
		return errors.New("a url of the form ssh:// or user@host:path needs auth.sshKeyFile, the file of a private key")
	case scheme != "ssh" && ssh:
		return errors.New("auth.sshKeyFile, sshKeyPassphraseFile and knownHostsFile are for ssh, and the url is of the form " + scheme + "://")
	case ways > 1:
		return errors.New("auth takes one of tokenFile, passwordFile and githubApp, not several")
	case (a.PasswordFile != "") != (a.Username != "") && a.TokenFile == "":
		return errors.New("auth.username and auth.passwordFile go together")
	case a.GitHubApp != nil:
		return a.GitHubApp.check()
	}
	return nil
}

const maxSecret = 64 << 10 // bytes

// readSecret reads a file with a secret. Its errors hold the name of the file, never what is in it.
func readSecret(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxSecret:
		return nil, fmt.Errorf("file %s has more than %d bytes: is it the right one?", file, maxSecret)
	}
	data = bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
	if len(data) == 0 {
		return nil, fmt.Errorf("file %s is empty", file)
	}
	return data, nil
}

// secret reads a file and makes sure that what is in it shows in no error of this call.
func (c *call) secret(file string) (string, error) {
	data, err := readSecret(file)
	if err != nil {
		return "", c.r.fail(KindLocal, "a secret file cannot be read: "+err.Error(), "")
	}
	c.hide(string(data))
	return string(data), nil
}

// auth returns what to log in with; nil for an anonymous visit.
func (c *call) auth() (transport.AuthMethod, error) {
	a := c.r.cfg.Auth
	if c.r.at.scheme == "ssh" {
		return c.sshAuth(a)
	}
	user, pass, err := c.login(a)
	if err != nil || pass == "" {
		return nil, err
	}
	c.hide(base64.StdEncoding.EncodeToString([]byte(user + ":" + pass)))
	return &githttp.BasicAuth{Username: user, Password: pass}, nil
}

func (c *call) login(a Auth) (user, pass string, err error) {
	const tokenUser = "x-access-token"
	switch {
	case a.GitHubApp != nil:
		pass, err = c.installationToken(a.GitHubApp)
		return tokenUser, pass, err
	case a.TokenFile != "":
		if user = a.Username; user == "" {
			user = tokenUser
		}
		pass, err = c.secret(a.TokenFile)
		return user, pass, err
	case a.PasswordFile != "":
		pass, err = c.secret(a.PasswordFile)
		return a.Username, pass, err
	}
	return "", "", nil
}

func (c *call) sshAuth(a Auth) (transport.AuthMethod, error) {
	signer, err := c.sshKey(a)
	if err != nil {
		return nil, err
	}
	known, file, err := c.knownHosts(a)
	if err != nil {
		return nil, err
	}
	user := c.r.at.user
	if user == "" {
		user = gitssh.DefaultUsername
	}
	check := known.HostKeyCallback()
	auth := &gitssh.PublicKeys{User: user, Signer: signer}
	// Without the algorithms the server may choose a key of a type that the file does not have, and be refused.
	auth.HostKeyAlgorithms = known.HostKeyAlgorithms(c.r.at.hostPort())
	auth.HostKeyCallback = func(host string, remote net.Addr, key ssh.PublicKey) error {
		err := check(host, remote, key)
		if err != nil {
			c.note(c.r.untrusted(err, file, key))
		}
		return err
	}
	return auth, nil
}

func (c *call) sshKey(a Auth) (ssh.Signer, error) {
	key, err := readSecret(a.SSHKeyFile)
	if err != nil {
		return nil, c.r.fail(KindLocal, "the ssh key cannot be read: "+err.Error(), "")
	}
	var signer ssh.Signer
	if a.SSHKeyPassphraseFile != "" {
		var passphrase string
		if passphrase, err = c.secret(a.SSHKeyPassphraseFile); err != nil {
			return nil, err
		}
		signer, err = ssh.ParsePrivateKeyWithPassphrase(key, []byte(passphrase))
	} else {
		signer, err = ssh.ParsePrivateKey(key)
	}
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return nil, c.r.fail(KindLocal, "the ssh key in "+a.SSHKeyFile+" is locked", "name the file of its passphrase in auth.sshKeyPassphraseFile")
	case err != nil: // not repeated, as it is about what is in the file
		return nil, c.r.fail(KindLocal, "the ssh key in "+a.SSHKeyFile+" cannot be used", "it must be a private key in PEM or OpenSSH form, and the passphrase must fit")
	}
	return signer, nil
}

func (c *call) knownHosts(a Auth) (*knownhosts.HostKeyDB, string, error) {
	file := a.KnownHostsFile
	if file == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, "", c.r.fail(KindLocal, "there is no home folder to find known_hosts in", "set auth.knownHostsFile")
		}
		file = filepath.Join(home, ".ssh", "known_hosts")
	}
	db, err := knownhosts.NewDB(file)
	if err != nil {
		return nil, "", c.r.fail(KindLocal, "the known host keys cannot be read: "+tame(err.Error(), nil),
			"ssh-keyscan "+c.r.at.host+" prints a server's keys: compare them with what its owner says, and put them into "+file)
	}
	return db, file, nil
}

// untrusted is the error for a host key that is not among the known ones.
func (r *remote) untrusted(err error, file string, key ssh.PublicKey) error {
	offered := fmt.Sprintf("%s %s", key.Type(), ssh.FingerprintSHA256(key))
	if knownhosts.IsHostKeyChanged(err) {
		return r.fail(KindTrust, "the server shows another host key than "+file+" has for it, "+offered,
			"somebody may be in between; if its owner confirms the new key, replace the old one")
	}
	return r.fail(KindTrust, "the server's host key is not in "+file+": "+offered,
		"compare it with what the server's owner says, and add it")
}
