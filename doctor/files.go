package doctor

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"time"
)

// soon is how long before its end a certificate is warned of.
const soon = 21 * 24 * time.Hour

// certificates looks when the servers' certificates end.
func certificates(_ context.Context, o *Options) (all []Finding) {
	for _, file := range o.Certificates {
		all = append(all, certificate(file, o.Now()))
	}
	return all
}

func certificate(file string, now time.Time) Finding {
	check := "certificate " + file
	data, err := os.ReadFile(file)
	if err != nil {
		return Finding{check, Fail, err.Error(), ""}
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return Finding{check, Fail, "it has no certificate in PEM form", ""}
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return Finding{check, Fail, err.Error(), ""}
	}
	f := Finding{check, OK, "valid until " + cert.NotAfter.Format(time.DateOnly), ""}
	switch {
	case now.After(cert.NotAfter):
		f.Grade, f.Advice = Fail, "it has expired: replace the file and send SIGHUP"
	case now.Before(cert.NotBefore):
		f.Grade, f.Advice = Fail, "it is not valid before "+cert.NotBefore.Format(time.DateTime)+": look at the clock"
	case cert.NotAfter.Sub(now) < soon:
		f.Grade, f.Advice = Warn, "replace the file soon and send SIGHUP"
	}
	return f
}

// secrets looks for files that others can read or change.
func secrets(_ context.Context, o *Options) (all []Finding) {
	for _, file := range o.Secrets {
		check := "file " + file
		info, err := os.Stat(file)
		switch {
		case err != nil:
			all = append(all, Finding{check, Fail, err.Error(), ""})
		case info.Mode().Perm()&0o006 != 0:
			all = append(all, Finding{check, Warn, fmt.Sprintf("mode %04o: every user of this machine can get at it", info.Mode().Perm()), "chmod 640 " + file})
		default:
			all = append(all, Finding{check, OK, fmt.Sprintf("mode %04o", info.Mode().Perm()), ""})
		}
	}
	return all
}
