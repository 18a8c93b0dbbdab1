package deploy_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"cairn/freeport"
)

// nobody is the user that the container file names.
const nobody = 65532

// TestContainer builds the image and runs its file system, read-only, as its
// user and with nothing of this machine in it but /data.
func TestContainer(t *testing.T) {
	needRoot(t)
	need(t, "buildah")
	need(t, "unshare")
	root, image := buildImage(t)
	if image.User != fmt.Sprintf("%d:%d", nobody, nobody) || len(image.Entrypoint) != 1 || image.Volumes["/data"] == nil {
		t.Errorf("the image is %+v", image)
	}
	data := t.TempDir()
	if err := os.Chown(data, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	letThrough(data)
	port := freePort(t)
	start(t, root, data, image, port)
	conn := dial(t, port)
	say(t, conn, "set k 0 60 5\r\nhello\r\n", "STORED")
	if _, err := os.Stat(filepath.Join(data, "LOCK")); err != nil {
		t.Error("the data is not in the volume:", err)
	}
}

// letThrough lets every user reach a temporary directory.
func letThrough(dir string) {
	for ; strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil {
			os.Chmod(dir, info.Mode()|0o111)
		}
	}
}

// config is what an image says of how it runs.
type config struct {
	User       string
	Env        []string
	Entrypoint []string
	Cmd        []string
	Volumes    map[string]any
}

// builtImage is how the image that buildImage has built runs.
var builtImage config

// buildImage builds the image with the container file, once for all tests, and returns
// a copy of its file system.
func buildImage(t *testing.T) (root string, image config) {
	t.Helper()
	root = shared(t, "image", func(root string) {
		context := t.TempDir()
		output(t, exec.Command("install", "-D", cairn(t), filepath.Join(context, "bin/cairn")))
		if err := os.CopyFS(filepath.Join(context, "deploy"), os.DirFS(".")); err != nil {
			t.Fatal(err)
		}
		buildah := newBuildah(t)
		buildah("bud", "--quiet", "--tag", "cairn", "--file", filepath.Join(context, "deploy/container/Containerfile"), context)
		builtImage = unpackImage(t, buildah, "cairn", root)
	})
	return root, builtImage
}

// newBuildah returns a function that runs buildah with a store of the test's own.
func newBuildah(t *testing.T) func(args ...string) string {
	store := t.TempDir()
	return func(args ...string) string {
		t.Helper()
		flags := []string{"--storage-driver", "vfs", "--root", filepath.Join(store, "root"), "--runroot", filepath.Join(store, "run")}
		cmd := exec.Command("buildah", append(flags, args...)...)
		cmd.Env = append(os.Environ(), "BUILDAH_ISOLATION=chroot")
		return strings.TrimSpace(output(t, cmd))
	}
}

// unpackImage copies an image's file system to root, and returns how it runs.
func unpackImage(t *testing.T, buildah func(args ...string) string, name, root string) (image config) {
	t.Helper()
	var inspected struct{ OCIv1 struct{ Config config } }
	if err := json.Unmarshal([]byte(buildah("inspect", "--type", "image", name)), &inspected); err != nil {
		t.Fatal(err)
	}
	container := buildah("from", "--pull-never", name)
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	output(t, exec.Command("cp", "-a", buildah("mount", container)+"/.", root))
	buildah("umount", container)
	return inspected.OCIv1.Config
}

// start runs the image's command until the test ends, and checks that it stops
// cleanly then.
func start(t *testing.T, root, data string, image config, port int) {
	t.Helper()
	env := append(image.Env, fmt.Sprintf("CAIRN_PORT=%d", port), "CAIRN_HTTP_LISTEN=off")
	mounted := inContainer(root, data, env, append(image.Entrypoint, image.Cmd...)...)
	mounted.Stderr = os.Stderr
	if err := mounted.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		mounted.Process.Signal(syscall.SIGTERM)
		if err := mounted.Wait(); err != nil {
			t.Error("the container's process:", err)
		}
	})
}

// inContainer is a command that runs in an image, with data as its volume.
func inContainer(root, data string, env []string, command ...string) *exec.Cmd {
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", os.Args[0], "-test.run=^TestEnterImage$", "--")
	cmd.Args = append(cmd.Args, command...)
	cmd.Env = append(env, enterVariable+"="+root+"\n"+data)
	return cmd
}

// enterVariable makes TestEnterImage a program that enters an image: its value
// is the image's root and the directory for its volume.
const enterVariable = "DEPLOY_TEST_ENTER"

// TestEnterImage is no test: it becomes the process of a container.
func TestEnterImage(t *testing.T) {
	root, data, ok := strings.Cut(os.Getenv(enterVariable), "\n")
	if !ok {
		t.Skip("not to be a container's process")
	}
	os.Unsetenv(enterVariable)
	fail := func(what string, err error) {
		if err != nil {
			t.Fatal(what, err)
		}
	}
	fail("bind", syscall.Mount(root, root, "", syscall.MS_BIND, ""))
	fail("volume", syscall.Mount(data, filepath.Join(root, "data"), "", syscall.MS_BIND, ""))
	fail("read-only", syscall.Mount("", root, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""))
	fail("chroot", syscall.Chroot(root))
	fail("chdir", syscall.Chdir("/"))
	fail("groups", syscall.Setgroups(nil))
	fail("group", syscall.Setgid(nobody))
	fail("user", syscall.Setuid(nobody))
	if err := os.WriteFile("/probe", nil, 0o600); err == nil {
		t.Fatal("the root is not read-only")
	}
	command := os.Args[slices.Index(os.Args, "--")+1:]
	fail("exec", syscall.Exec(command[0], command, os.Environ()))
}

func freePort(t *testing.T) int {
	t.Helper()
	addr, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	return int(netip.MustParseAddrPort(addr).Port())
}

// dial connects as soon as something listens.
func dial(t *testing.T, port int) net.Conn {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			t.Cleanup(func() { conn.Close() })
			return conn
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// say sends a request and compares the first line of the answer.
func say(t *testing.T, conn net.Conn, request, want string) {
	t.Helper()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if got := strings.TrimSpace(line); err != nil || got != want {
		t.Fatalf("%q was answered %q (%v), want %q", request, got, err, want)
	}
}
