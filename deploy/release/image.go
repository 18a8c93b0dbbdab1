package main

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// imageUser runs the program in the image. It owns /data.
const imageUser = 65532

// writeImage writes the container image as an archive that `podman load` and
// `docker load` read. It is what deploy/container/Containerfile describes; no
// engine is needed to build it.
func (b *build) writeImage() (path string, err error) {
	content, err := b.imageLayer()
	if err != nil {
		return "", err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
	if err != nil {
		return "", err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return "", err
	}
	if image, err = mutate.ConfigFile(image, b.imageConfig(image)); err != nil {
		return "", err
	}
	tag, err := name.NewTag("localhost/cairn:" + b.version)
	if err != nil {
		return "", err
	}
	path = b.path("_image.tar")
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	if err := tarball.Write(tag, image, f); err != nil {
		f.Close()
		return "", err
	}
	return path, f.Close()
}

// imageLayer is the image's file system: the program and an empty /data.
func (b *build) imageLayer() ([]byte, error) {
	program, err := os.ReadFile(filepath.Join(b.work, "cairn"))
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	for _, header := range []*tar.Header{
		{Name: "cairn", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(program))},
		{Name: "data/", Typeflag: tar.TypeDir, Mode: 0o755, Uid: imageUser, Gid: imageUser},
	} {
		header.ModTime, header.Format = b.date, tar.FormatUSTAR
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if header.Size > 0 {
			if _, err := w.Write(program); err != nil {
				return nil, err
			}
		}
	}
	return layer.Bytes(), w.Close()
}

func (b *build) imageConfig(image v1.Image) *v1.ConfigFile {
	config, err := image.ConfigFile()
	if err != nil {
		config = new(v1.ConfigFile)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", b.arch, v1.Time{Time: b.date}
	config.History = []v1.History{{Created: v1.Time{Time: b.date}, CreatedBy: "deploy/release"}}
	config.Config = v1.Config{
		User:         "65532:65532",
		Env:          []string{"CAIRN_DATA_DIR=/data", "CAIRN_LISTEN=*", "CAIRN_LOG_FORMAT=json"},
		Entrypoint:   []string{"/cairn"},
		Cmd:          []string{"serve"},
		ExposedPorts: map[string]struct{}{"11211/tcp": {}, "8211/tcp": {}},
		Volumes:      map[string]struct{}{"/data": {}},
		StopSignal:   "SIGTERM",
		Labels: map[string]string{
			"org.opencontainers.image.title":    "Cairn",
			"org.opencontainers.image.version":  b.version,
			"org.opencontainers.image.licenses": "Apache-2.0",
		},
	}
	return config
}
