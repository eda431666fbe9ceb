package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// usage is what a command took, with all processes that it started.
type usage struct {
	Wall time.Duration
	CPU  time.Duration // of user and system, as the kernel counts them for processes that have ended and were waited for
	Peak int64         // bytes: the most memory that all processes had resident at one moment; 0 where that is not known
}

// add is for commands that run one after the other.
func (u usage) add(v usage) usage {
	return usage{u.Wall + v.Wall, u.CPU + v.CPU, max(u.Peak, v.Peak)}
}

// Programs may be over in a hundredth of a second, so a new process is looked at often, and by itself. After that it is
// looked for those it has started as well, which costs more.
const (
	newFor       = 200 * time.Millisecond
	samplingNew  = time.Millisecond
	samplingTree = 50 * time.Millisecond
)

// run runs a command to its end. Its error has what the command printed.
func run(cmd *exec.Cmd) (used usage, output []byte, err error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	w, err := watched(cmd)
	if err != nil {
		return usage{}, nil, err
	}
	err = cmd.Wait()
	used = w.end()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s%s", strings.Join(cmd.Args, " "), err, tail(stdout.Bytes()), tail(stderr.Bytes()))
	}
	return used, stdout.Bytes(), err
}

func tail(output []byte) []byte { return output[max(0, len(output)-4000):] }

// watch is a command that runs and is looked at.
type watch struct {
	cmd   *exec.Cmd
	start time.Time
	stop  chan struct{}
	peak  chan int64
}

// watched starts a command.
func watched(cmd *exec.Cmd) (*watch, error) {
	w := &watch{cmd: cmd, start: time.Now(), stop: make(chan struct{}), peak: make(chan int64, 1)}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go w.sample()
	return w, nil
}

// sample looks for the peak of the memory until it is told to stop.
func (w *watch) sample() {
	var peak int64
	for {
		pause := samplingNew
		if time.Since(w.start) < newFor {
			peak = max(peak, memory(w.cmd.Process.Pid, highWater))
		} else {
			peak = max(peak, resident(w.cmd.Process.Pid))
			pause = samplingTree
		}
		select {
		case <-time.After(pause):
		case <-w.stop:
			w.peak <- peak
			return
		}
	}
}

// end tells what the command took; it must have been waited for.
func (w *watch) end() usage {
	u := usage{Wall: time.Since(w.start)}
	close(w.stop)
	u.Peak = <-w.peak
	if state := w.cmd.ProcessState; state != nil {
		u.CPU = state.UserTime() + state.SystemTime()
	}
	return u
}

// resident returns the bytes of memory of a process and all those below it: of one that stands alone its own
// high-water mark, of several what they have now. Pages that two of them share count twice.
func resident(pid int) int64 {
	all := family(pid)
	field := residentNow
	if len(all) == 1 {
		field = highWater
	}
	var sum int64
	for _, p := range all {
		sum += memory(p, field)
	}
	return sum
}

// family returns a process and all those that it and they have started.
func family(pid int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	children := map[int][]int{}
	for _, entry := range entries {
		id, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if stat, err := processStat(id); err == nil {
			parent, _ := strconv.Atoi(stat[1])
			children[parent] = append(children[parent], id)
		}
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// Fields of a process's status.
const (
	residentNow = "VmRSS:"
	highWater   = "VmHWM:" // the most so far
)

// memory returns a field of a process's status in bytes; 0 if it has ended.
func memory(pid int, field string) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, is := strings.CutPrefix(line, field); is {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// cpuTime returns what a running process has used so far, in the kernel's hundredths of a second.
func cpuTime(pid int) (time.Duration, error) {
	stat, err := processStat(pid)
	if err != nil {
		return 0, err
	}
	var ticks int64
	for _, field := range stat[11:13] { // utime and stime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// processStat returns the fields of /proc/PID/stat after the name: the state, the parent, and so on.
func processStat(pid int) ([]string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	_, rest, found := strings.Cut(string(stat), ") ") // the name may have spaces
	fields := strings.Fields(rest)
	if !found || len(fields) < 13 {
		return nil, fmt.Errorf("/proc/%d/stat does not look as expected", pid)
	}
	return fields, nil
}
