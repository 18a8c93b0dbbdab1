package deploy_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// buildRelease runs deploy/release.
func buildRelease(t *testing.T, dir string, args ...string) {
	t.Helper()
	build := exec.Command("go", append([]string{"run", ".", "-out", dir}, args...)...)
	build.Dir = "release"
	build.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000")
	t.Log(output(t, build))
}

// sharedVersion is that of the release that several tests use.
const sharedVersion = "1.2.3"

// sharedRelease returns the directory of a whole release for this processor.
func sharedRelease(t *testing.T) (dir string) {
	t.Helper()
	return shared(t, "release", func(dir string) {
		buildRelease(t, dir, "-version", sharedVersion, "-arch", runtime.GOARCH)
	})
}

// TestRelease builds a release twice, byte for byte the same, and looks at each
// part of it with the programs that users have for that.
func TestRelease(t *testing.T) {
	needRoot(t)
	for _, program := range []string{"dpkg-deb", "rpm", "buildah", "sha256sum"} {
		need(t, program)
	}
	first, second := sharedRelease(t), t.TempDir()
	buildRelease(t, second, "-version", sharedVersion, "-arch", runtime.GOARCH)
	sums := read(t, first, "SHA256SUMS")
	if again := read(t, second, "SHA256SUMS"); again != sums || strings.Count(sums, "\n") != 9 {
		t.Errorf("two builds differ, or lack something:\n%s\n%s", sums, again)
	}
	check := exec.Command("sha256sum", "--check", "--strict", "SHA256SUMS")
	check.Dir = first
	output(t, check)

	arch := runtime.GOARCH
	t.Run("tar", func(t *testing.T) { testTar(t, filepath.Join(first, "cairn_1.2.3_linux_"+arch+".tar.gz")) })
	t.Run("deb", func(t *testing.T) {
		list := output(t, exec.Command("dpkg-deb", "--contents", filepath.Join(first, "cairn_1.2.3_"+arch+".deb")))
		wantAll(t, list, "./usr/bin/cairn", "./lib/systemd/system/cairn.service", "man1/cairn-serve.1.gz", "doc/cairn/copyright")
	})
	t.Run("rpm", func(t *testing.T) {
		packages, _ := filepath.Glob(filepath.Join(first, "cairn-1*.x86_64.rpm"))
		if len(packages) != 1 {
			t.Fatalf("%v", packages)
		}
		list := output(t, exec.Command("rpm", "--query", "--list", "--info", "--scripts", "--package", packages[0]))
		wantAll(t, list, "/usr/bin/cairn", "cairn.service", "Apache-2.0", "systemd-sysusers")
	})
	t.Run("apk", func(t *testing.T) {
		packages, _ := filepath.Glob(filepath.Join(first, "cairn_1*x86_64.apk"))
		if len(packages) != 1 {
			t.Fatalf("%v", packages)
		}
		list := output(t, exec.Command("tar", "--ignore-zeros", "-tzf", packages[0]))
		wantAll(t, list, "usr/bin/cairn", "etc/init.d/cairn", ".PKGINFO", ".pre-install")
		if strings.Contains(list, "systemd") {
			t.Errorf("units for Alpine:\n%s", list)
		}
	})
	t.Run("sbom", func(t *testing.T) { testSBOM(t, read(t, first, "cairn_1.2.3_linux_"+arch+"_sbom.cdx.json")) })
	t.Run("image", func(t *testing.T) { testImage(t, filepath.Join(first, "cairn_1.2.3_linux_"+arch+"_image.tar")) })
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func wantAll(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %s in\n%s", part, text)
		}
	}
}

// testTar runs the program as it comes out of the archive.
func testTar(t *testing.T, archive string) {
	dir := t.TempDir()
	output(t, exec.Command("tar", "-C", dir, "-xzf", archive))
	folder := filepath.Join(dir, strings.TrimSuffix(filepath.Base(archive), ".tar.gz"))
	if version := output(t, exec.Command(filepath.Join(folder, "cairn"), "version")); !strings.Contains(version, "1.2.3") {
		t.Errorf("version: %s", version)
	}
	for _, name := range []string{"LICENSE", "NOTICE", "README.md", "systemd/cairn.service", "man/cairn-serve.1.gz", "completion.bash"} {
		read(t, folder, name)
	}
}

// testSBOM looks for what the program is made of.
func testSBOM(t *testing.T, text string) {
	var bom struct {
		BOMFormat  string
		Components []struct{ Name, Version, Purl string }
	}
	if err := json.Unmarshal([]byte(text), &bom); err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, c := range bom.Components {
		names = append(names, c.Name)
	}
	if bom.BOMFormat != "CycloneDX" || !slices.Contains(names, "github.com/cockroachdb/pebble/v2") || !slices.Contains(names, "std") {
		t.Errorf("%s of %v", bom.BOMFormat, names)
	}
}

// testImage compares the image with the one that the container file describes.
func testImage(t *testing.T, archive string) {
	buildah := newBuildah(t)
	buildah("pull", "--quiet", "docker-archive:"+archive)
	root := t.TempDir()
	image := unpackImage(t, buildah, "localhost/cairn:1.2.3", root)
	wantRoot, want := buildImage(t)
	want.Env = slices.DeleteFunc(slices.Clone(want.Env), func(v string) bool { return strings.HasPrefix(v, "PATH=") }) // buildah's
	if !reflect.DeepEqual(image, want) {
		t.Errorf("the image is %+v, the container file's %+v", image, want)
	}
	if got, want := listImage(t, root), listImage(t, wantRoot); got != want {
		t.Errorf("the image has\n%s\nthe container file's\n%s", got, want)
	}
}

// listImage lists the files of an image with mode and owner.
func listImage(t *testing.T, root string) string {
	find := exec.Command("find", root, "-mindepth", "1", "-not", "-name", ".keep", "-printf", "%P %m %U\n")
	lines := strings.Split(output(t, find), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
