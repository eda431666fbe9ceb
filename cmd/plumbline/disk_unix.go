//go:build linux || darwin || freebsd

package main

import "syscall"

// freeSpace returns how many bytes this user may still write where a folder is.
func freeSpace(dir string) (uint64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, err
	}
	return uint64(max(0, int64(fs.Bavail))) * uint64(fs.Bsize), nil
}
