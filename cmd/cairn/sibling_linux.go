package main

import "syscall"

// makeSibling makes a process that starts a child of this one's parent.
func makeSibling(attributes *syscall.SysProcAttr) { attributes.Cloneflags |= syscall.CLONE_PARENT }
