package config

import "testing"

// TestRemoteFaults shows every message about remote sources.
func TestRemoteFaults(t *testing.T) {
	tests := []faultTest{
		{
			name: "addresses",
			text: `regions: [us-east-1]
sources:
- url: file:///srv/x
- url: git://example.com/x
- url: ftp://example.com/x
- url: http://example.com/x
- url: https://example.com/
- url: https://example.com/x?ref=main
- url: https:///x
- url: "https://example.com/a b"
- url: example.com:x.git
- url: ~/x
- url: "ssh://-oProxyCommand=x/y"
- url: "ssh://-x@example.com/y"
`,
			want: `
plumbline.yaml:3:8: sources[0].url: "file:///srv/x": want a path
  hint: write "/srv/x"
plumbline.yaml:4:8: sources[1].url: git:// neither encrypts nor shows who answers
  hint: use https or ssh
plumbline.yaml:5:8: sources[2].url: want https://host/path, ssh://git@host/path, git@host:path or a path
plumbline.yaml:6:8: sources[3].url: plain http is for this machine only, and "example.com" is another
  hint: use https
plumbline.yaml:7:8: sources[4].url: names the host example.com and no repository
plumbline.yaml:8:8: sources[5].url: the address of a repository has no ? and no # in it
plumbline.yaml:9:8: sources[6].url: want https://host/path, ssh://git@host/path, git@host:path or a path
plumbline.yaml:10:8: sources[7].url: want https://host/path, ssh://git@host/path, git@host:path or a path
plumbline.yaml:11:8: sources[8].url: want https://host/path, ssh://git@host/path, git@host:path or a path
  hint: a path with a colon needs ./ before it
plumbline.yaml:12:8: sources[9].url: "~/x": only shells know what ~ means
  hint: write the whole path, or a relative one
plumbline.yaml:13:8: sources[10].url: want https://host/path, ssh://git@host/path, git@host:path or a path
plumbline.yaml:14:8: sources[11].url: want https://host/path, ssh://git@host/path, git@host:path or a path
`,
		},
		{
			// Where a secret may be, the message does not show what was written.
			name: "secrets in addresses",
			text: `regions: [us-east-1]
sources:
- url: https://user:secret@example.com/x
- url: https://secret@example.com/x
- url: ssh://git:secret@example.com/x
- url: git:secret@example.com:x
- url: "https://user:secret@example.com:port/x"
- {url: https://example.com/x, auth: {proxy: "http://user:secret@proxy:80"}}
- {url: https://example.com/x/y, auth: {username: "user:secret", passwordFile: a}}
`,
			want: `
plumbline.yaml:3:8: sources[0].url: an address has no user and no password in it: it is shown to everyone
  hint: put the secret into a file, and name it in auth: tokenFile, or username with passwordFile
plumbline.yaml:4:8: sources[1].url: an address has no user and no password in it: it is shown to everyone
  hint: put the secret into a file, and name it in auth: tokenFile, or username with passwordFile
plumbline.yaml:5:8: sources[2].url: an address has no user and no password in it: it is shown to everyone
  hint: put the secret into a file, and name it in auth: tokenFile, or username with passwordFile
plumbline.yaml:6:8: sources[3].url: want https://host/path, ssh://git@host/path, git@host:path or a path
  hint: a path with a colon needs ./ before it
plumbline.yaml:7:8: sources[4].url: want https://host/path, ssh://git@host/path, git@host:path or a path
plumbline.yaml:8:46: sources[5].auth.proxy: want an address such as http://proxy:3128, with no user and nothing after it
plumbline.yaml:9:51: sources[6].auth.username: may have no colon and no space
`,
		},
		{
			name: "nothing to log in to",
			text: `regions: [us-east-1]
sources:
- {dir: a, auth: {tokenFile: x}}
- {url: b, auth: {caFile: x}}
- {url: "https://user:x@host/y", auth: {sshKeyFile: x}}
`,
			want: `
plumbline.yaml:3:12: sources[0].auth: a folder needs no auth
plumbline.yaml:4:12: sources[1].auth: a repository on this machine needs no auth
  hint: it is opened in place, with the rights of this process
plumbline.yaml:5:9: sources[2].url: an address has no user and no password in it: it is shown to everyone
  hint: put the secret into a file, and name it in auth: tokenFile, or username with passwordFile
`,
		},
		{
			name: "one way",
			text: `regions: [us-east-1]
sources:
- {url: "https://h/a", auth: {tokenFile: x, passwordFile: y, username: z}}
- {url: "https://h/b", auth: {githubApp: {}, username: z}}
- {url: "ssh://git@h/c", auth: {sshKeyFile: x, tokenFile: y}}
`,
			want: `
plumbline.yaml:3:72: sources[0].auth.username: tokenFile is set as well; there can be only one way to log in
plumbline.yaml:4:31: sources[1].auth.githubApp: username is set as well; there can be only one way to log in
plumbline.yaml:5:59: sources[2].auth.tokenFile: is for https, and the address is ssh
  hint: for ssh: sshKeyFile with knownHostsFile
`,
		},
		{
			name: "the right way",
			text: `regions: [us-east-1]
sources:
- {url: "https://h/a", auth: {sshKeyFile: x, knownHostsFile: y}}
- {url: "git@h:b", auth: {tokenFile: x}}
- {url: "git@h:c", auth: {sshKeyFile: x, knownHostsFile: y, caFile: z, proxy: "http://p"}}
- {url: "http://localhost/d", auth: {caFile: z, proxy: "http://p"}}
`,
			want: `
plumbline.yaml:3:43: sources[0].auth.sshKeyFile: is for ssh, and the address is https
  hint: for https: tokenFile, username with passwordFile, or githubApp
plumbline.yaml:4:38: sources[1].auth.tokenFile: is for https, and the address is ssh
  hint: for ssh: sshKeyFile with knownHostsFile
plumbline.yaml:5:69: sources[2].auth.caFile: is for https, and the address is ssh
plumbline.yaml:5:79: sources[2].auth.proxy: is for https, and the address is ssh
plumbline.yaml:6:46: sources[3].auth.caFile: is for https, and the address is http
`,
		},
		{
			name: "half a way",
			text: `regions: [us-east-1]
sources:
- {url: "https://h/a", auth: {username: x}}
- {url: "https://h/b", auth: {passwordFile: x}}
- {url: "ssh://git@h/c"}
- {url: "ssh://git@h/d", auth: {}}
- {url: "ssh://git@h/e", auth: {sshKeyPassphraseFile: x, knownHostsFile: y}}
- {url: "https://h/f", auth: {githubApp: {appId: 0, installationId: x}}}
- {url: "https://github.com/g", auth: {githubApp: {privateKeyFile: a}}}
- {url: "https://h/h", webhook: {secretFile: ~}, interval: 500ms}
- {url: "https://h/i", webhook: {}, auth: {token: x}, timeout: 0s}
`,
			want: `
plumbline.yaml:3:24: sources[0].auth: passwordFile is missing
plumbline.yaml:4:24: sources[1].auth: username is missing
plumbline.yaml:5:9: sources[2].url: ssh wants auth
  hint: auth: {sshKeyFile: …, knownHostsFile: …}
plumbline.yaml:6:26: sources[3].auth: knownHostsFile is missing
  hint: it says whom to trust, as ~/.ssh/known_hosts does; ssh-keyscan h prints what to compare with what the host publishes
plumbline.yaml:6:26: sources[3].auth: sshKeyFile is missing
plumbline.yaml:7:26: sources[4].auth: sshKeyFile is missing
plumbline.yaml:8:31: sources[5].auth.githubApp: baseURL is missing
  hint: on a GitHub Enterprise Server it is https://h/api/v3
plumbline.yaml:8:31: sources[5].auth.githubApp: privateKeyFile is missing
plumbline.yaml:8:50: sources[5].auth.githubApp.appId: want a whole number above 0, have 0
plumbline.yaml:8:69: sources[5].auth.githubApp.installationId: want a number, have "x"
plumbline.yaml:9:40: sources[6].auth.githubApp: appId is missing
plumbline.yaml:9:40: sources[6].auth.githubApp: installationId is missing
plumbline.yaml:10:46: sources[7].webhook.secretFile: has no value
  hint: remove the line or give it a value
plumbline.yaml:10:60: sources[7].interval: "500ms" is shorter than a second
  hint: 1s is the least
plumbline.yaml:11:24: sources[8].webhook: secretFile is missing
plumbline.yaml:11:44: sources[8].auth: unknown key "token"
plumbline.yaml:11:64: sources[8].timeout: "0s" is no duration above 0
  hint: write it like 20s, 1m, 1h30m or 1d
`,
		},
		{
			name: "names",
			text: `regions: [us-east-1]
sources:
- {url: "https://Example.com/a.git"}
- {url: "https://example.com:8443/a"}
- {url: "https://[::1]/a"}
- {url: "https://example.com/~me/a"}
- {url: "https://github.com/acme/.github"}
- {dir: a, name: team//a/}
`,
			want: `
plumbline.yaml:4:3: sources[1]: the source name "example.com/a" is used twice, first in line 3
plumbline.yaml:5:3: sources[2]: no name can be made of the path "https://[::1]/a"
  hint: give the source a name
plumbline.yaml:6:3: sources[3]: no name can be made of the path "https://example.com/~me/a"
  hint: give the source a name
plumbline.yaml:8:18: sources[5].name: "team//a/" has a part that is empty, or . or ..
  hint: write "team/a"
`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, tt.run)
	}
}

func TestRepositoryNames(t *testing.T) {
	for address, want := range map[string]string{
		"https://github.com/acme/pipelines.git":     "github.com/acme/pipelines",
		"https://github.com/acme/pipelines.git/":    "github.com/acme/pipelines",
		"https://GitHub.com/Acme/Pipelines":         "github.com/Acme/Pipelines",
		"ssh://git@github.com/acme/pipelines.git":   "github.com/acme/pipelines",
		"ssh://github.com:2222//acme/pipelines.git": "github.com/acme/pipelines",
		"git@github.com:acme/pipelines.git":         "github.com/acme/pipelines",
		"git@github.com:/acme/pipelines":            "github.com/acme/pipelines",
		"http://localhost:8080/x":                   "localhost/x",
		"http://[::1]:8080/x":                       "::1/x", // no name for a source, which then needs one
		"git@[::1]:x.git":                           "::1/x",
	} {
		r, err := parseRepository(address)
		if err != nil {
			t.Errorf("parseRepository(%q): %v", address, err)
		} else if got := r.name(); got != want {
			t.Errorf("the name of %s is %q, want %q", address, got, want)
		}
	}
	for _, path := range []string{"a", "./git@host:path", "/srv/a:b", `C:\repo`, "C:repo", "a@b/c:d"} {
		if r, err := parseRepository(path); err != nil || r.scheme != "" {
			t.Errorf("parseRepository(%q) = %+v, %v, want a path on this machine", path, r, err)
		}
	}
}

func TestListeners(t *testing.T) {
	for _, s := range []string{"127.0.0.1:8080", ":8080", "[::1]:8080", "localhost:0", "plumbline.internal:65535"} {
		if err := isListen(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"8080", "127.0.0.1", "::1:8080", "a b:80", ":65536", ":-1", ":", "http://localhost:80", "-x:80"} {
		if isListen(s) == nil {
			t.Errorf("%q is accepted", s)
		}
	}
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"127.0.0.1:80", "127.0.0.1:80", true},
		{"127.0.0.1:80", "LOCALHOST:80", true},
		{"127.0.0.1:80", "0.0.0.0:80", true},
		{"[::]:80", "127.0.0.1:80", true},
		{":80", ":80", true},
		{"127.0.0.1:80", "", false},
		{"127.0.0.1:80", "127.0.0.1:81", false},
		{"127.0.0.1:80", "127.0.0.2:80", false},
		{"127.0.0.1:0", "127.0.0.1:0", false}, // two ports, whichever are free
	} {
		if got := sameListener(tt.a, tt.b); got != tt.same {
			t.Errorf("sameListener(%q, %q) = %v", tt.a, tt.b, got)
		}
	}
}
