//go:build !linux

package log

func openDirect(string) (device, error) { return nil, errNoDirect }
