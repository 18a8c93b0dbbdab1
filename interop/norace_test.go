//go:build !race

package interop

const buildFlag = "-race=false"
