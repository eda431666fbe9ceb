//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package source

import (
	"errors"
	"fmt"
	"os"
)

// lockFile creates a file that nobody else then can. After a crash it has to be removed by hand.
func lockFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("%w; if that process is gone, remove %s", occupied(name), name)
	}
	if err != nil {
		return nil, fmt.Errorf("locking the state folder: %w", err)
	}
	if _, err := f.WriteString(owner() + "\n"); err != nil {
		return nil, errors.Join(err, unlockFile(f))
	}
	return f, nil
}

func unlockFile(f *os.File) error { return errors.Join(f.Close(), os.Remove(f.Name())) }

// isLocked reports whether there is a lock file, which a crash leaves behind too.
func isLocked(name string) (bool, error) {
	_, err := os.Stat(name)
	return err == nil, err
}

// syncDir does nothing: a folder cannot be synced here.
func syncDir(string) error { return nil }
