//go:build !linux

package main

import "time"

// slacken is for Linux, whose timers have a slack.
func slacken(time.Duration, []string) {}
