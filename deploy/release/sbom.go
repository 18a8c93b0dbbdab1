package main

import (
	"debug/buildinfo"
	"os"
	"path/filepath"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
)

// writeSBOM lists the libraries that the linker put into the program, as it says
// itself, in the form of CycloneDX.
func (b *build) writeSBOM() (path string, err error) {
	info, err := buildinfo.ReadFile(filepath.Join(b.work, "cairn"))
	if err != nil {
		return "", err
	}
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{
		Timestamp: b.date.Format(time.RFC3339),
		Component: component(cyclonedx.ComponentTypeApplication, "cairn", b.version),
	}
	bom.Metadata.Component.Licenses = &cyclonedx.Licenses{{License: &cyclonedx.License{ID: "Apache-2.0"}}}
	libraries := []cyclonedx.Component{*component(cyclonedx.ComponentTypeLibrary, "std", info.GoVersion)}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		libraries = append(libraries, *component(cyclonedx.ComponentTypeLibrary, module.Path, module.Version))
	}
	bom.Components = &libraries
	path = b.path("_sbom.cdx.json")
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	encoder := cyclonedx.NewBOMEncoder(f, cyclonedx.BOMFileFormatJSON).SetPretty(true)
	if err := encoder.Encode(bom); err != nil {
		f.Close()
		return "", err
	}
	return path, f.Close()
}

// component describes a Go module; its reference is its package URL.
func component(kind cyclonedx.ComponentType, name, version string) *cyclonedx.Component {
	url := "pkg:golang/" + name + "@" + version
	return &cyclonedx.Component{Type: kind, BOMRef: url, PackageURL: url, Name: name, Version: version}
}
