//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package source

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lockFile takes a lock that ends with the process, however that ends.
func lockFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the state folder: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		f.Close()
		return nil, occupied(name)
	}
	if err == nil {
		err = errors.Join(f.Truncate(0), writeOwner(f))
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking the state folder: %w", err)
	}
	return f, nil
}

func writeOwner(f *os.File) error {
	_, err := f.WriteString(owner() + "\n")
	return err
}

// unlockFile leaves the file where it is: to remove it would race with who locks it next. It unlocks before it
// closes, because a child process that is just being started still has a copy of the descriptor.
func unlockFile(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}

// isLocked reports whether a process has the lock. A shared lock, held for no longer than this call, finds out.
func isLocked(name string) (bool, error) {
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, f.Close()
	}
	if err != nil {
		return false, errors.Join(err, f.Close())
	}
	return false, unlockFile(f)
}

// syncDir makes renames in a folder last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
