// Package backup writes, checks and restores archives of a store's directory.
//
// An archive is a tar compressed with zstd:
//
//	cairn-backup.json   what made it and when (Info)
//	store/...           the files of a checkpoint
//	SHA256SUMS          the checksum of every entry before it
//
// SHA256SUMS has the format of sha256sum(1), so an archive can be checked
// without Cairn. As it comes last, an archive without it was cut short.
package backup

import (
	"errors"
	"time"
)

// Format is the version of the archive's layout that this package writes. It
// reads this one and refuses others.
const Format = 1

// Info describes an archive.
type Info struct {
	Format  int       `json:"format"`
	Created time.Time `json:"created"`
	Version string    `json:"version"` // of Cairn

	// Files and Bytes count the store's files. They are known after reading an
	// archive and are not part of it.
	Files int   `json:"-"`
	Bytes int64 `json:"-"`
}

// Errors that reading an archive can give.
var (
	// ErrTruncated says that an archive ends before its checksums.
	ErrTruncated = errors.New("backup: archive is cut short")

	// ErrDamaged says that a file is not what was written.
	ErrDamaged = errors.New("backup: archive is damaged")

	// ErrNotArchive says that the data is no archive, or one of another format.
	ErrNotArchive = errors.New("backup: not a Cairn backup of a known format")

	// ErrNotEmpty says that the directory to restore into has something in it.
	ErrNotEmpty = errors.New("backup: directory is not empty")
)

const (
	infoName  = "cairn-backup.json"
	sumsName  = "SHA256SUMS"
	storeName = "store/"

	maxInfo = 64 << 10 // bytes of infoName that are read
	maxSums = 64 << 20 // bytes of sumsName that are read
)
