package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/live"
)

// A command that waits for AWS's limits says so, once, and not for a moment's wait.
func TestTellWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		tell := (&app{stderr: &out}).tellWaiting(config.Target{Name: "eu", Region: "eu-west-1"})
		throttled := live.Attempt{Class: live.Throttled}
		for range 2 {
			tell(throttled)
			tell(live.Attempt{})
			time.Sleep(quietWait - 1)
		}
		if out.Len() > 0 {
			t.Errorf("told of a moment: %s", &out)
		}
		for range 3 {
			tell(throttled)
		}
		if strings.Count(out.String(), "AWS throttles the calls in eu-west-1 (target eu)") != 1 {
			t.Errorf("told: %s", &out)
		}
	})
}
