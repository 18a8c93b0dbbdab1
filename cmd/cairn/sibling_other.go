//go:build !linux

package main

import "syscall"

// makeSibling is for takeovers, which only Linux has.
func makeSibling(*syscall.SysProcAttr) {}
