package torture

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// pods are what Kubernetes would make of deploy/kubernetes/cluster.yaml: each pod a
// process in the directory of its image, with the volumes, arguments and environment of
// the manifest, and an address that changes with each start.
type pods struct {
	t       *testing.T
	network *network
	program string
	set     statefulSet
	config  map[string]string
	secrets map[string]map[string]string
	all     []*pod
	starts  int
}

type pod struct {
	*machine
	name  string
	root  string
	log   string
	cmd   *exec.Cmd
	done  chan error
	ready atomic.Pointer[string] // where the service of the clients has it; nil: it has not
}

// statefulSet is what the test needs of one.
type statefulSet struct {
	Metadata struct{ Name, Namespace string }
	Spec     struct {
		ServiceName string `yaml:"serviceName"`
		Replicas    int
		Template    struct {
			Spec struct {
				Grace      int `yaml:"terminationGracePeriodSeconds"`
				Containers []struct {
					Args []string
					Env  []struct {
						Name, Value string
						ValueFrom   struct {
							FieldRef struct {
								FieldPath string `yaml:"fieldPath"`
							} `yaml:"fieldRef"`
						} `yaml:"valueFrom"`
					}
					ReadinessProbe struct {
						HTTPGet struct{ Path string } `yaml:"httpGet"`
					} `yaml:"readinessProbe"`
					VolumeMounts []struct {
						Name      string
						MountPath string `yaml:"mountPath"`
					} `yaml:"volumeMounts"`
				}
				Volumes []struct {
					Name      string
					ConfigMap struct{ Name string } `yaml:"configMap"`
					Secret    struct {
						Name string `yaml:"secretName"`
					}
				}
			}
		}
	}
}

// readManifest takes the StatefulSet and the ConfigMap.
func (p *pods) readManifest(file string) {
	text, err := os.Open(file)
	must(p.t, err)
	defer text.Close()
	for decoder := yaml.NewDecoder(text); ; {
		var document yaml.Node
		if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			p.t.Fatal(err)
		}
		var kind struct {
			Kind string
			Data map[string]string
		}
		must(p.t, document.Decode(&kind))
		switch kind.Kind {
		case "ConfigMap":
			p.config = kind.Data
		case "StatefulSet":
			must(p.t, document.Decode(&p.set))
		}
	}
}

// create makes the directory of a pod: its image, its volumes, and those of its own.
func (p *pods) create(i int) *pod {
	o := &pod{machine: p.network.machines[i], name: fmt.Sprint(p.set.Metadata.Name, "-", i), root: p.t.TempDir()}
	o.log = o.root + ".log"
	files := map[string]string{}
	container := p.set.Spec.Template.Spec.Containers[0]
	for _, m := range container.VolumeMounts {
		must(p.t, os.MkdirAll(filepath.Join(o.root, m.MountPath), 0o700))
		for _, v := range p.set.Spec.Template.Spec.Volumes {
			if v.Name != m.Name {
				continue
			}
			content := p.config
			if v.Secret.Name != "" {
				if content = p.secrets[v.Secret.Name]; content == nil {
					p.t.Fatalf("the pod wants the secret %s", v.Secret.Name)
				}
			}
			for name, text := range content {
				files[filepath.Join(m.MountPath, name)] = text
			}
		}
	}
	for name, text := range files {
		must(p.t, os.WriteFile(filepath.Join(o.root, name), []byte(text), 0o440))
	}
	for _, dir := range []string{"etc", "proc", "tmp"} {
		must(p.t, os.MkdirAll(filepath.Join(o.root, dir), 0o755))
	}
	program, err := os.ReadFile(p.program)
	must(p.t, err)
	must(p.t, os.WriteFile(filepath.Join(o.root, "cairn"), program, 0o755))
	must(p.t, filepath.WalkDir(o.root, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, 65532, 65532))
	}))
	return o
}

// start gives the pod a new address, and starts its container.
func (p *pods) start(o *pod) {
	p.t.Helper()
	p.starts++
	if p.starts > len(p.all) {
		o.ip("addr del " + o.address + "/24 dev eth0")
		o.address = fmt.Sprintf("10.77.0.%d", 100+p.starts)
		o.ip("addr add " + o.address + "/24 dev eth0")
	}
	var env []string
	container := p.set.Spec.Template.Spec.Containers[0]
	known := []string{}
	for _, v := range container.Env {
		value := v.Value
		if v.ValueFrom.FieldRef.FieldPath == "metadata.name" {
			value = o.name
		}
		value = strings.NewReplacer(known...).Replace(value)
		known = append(known, "$("+v.Name+")", value)
		env = append(env, v.Name+"="+value)
	}
	command := append(o.enter(), "unshare", "--mount", "--propagation", "private", "sh", "-c", `mount --bind /proc "$0/proc" && exec "$@"`, o.root,
		"env", "-i")
	chroot, err := exec.LookPath("chroot")
	must(p.t, err)
	command = append(append(command, env...), chroot, "--userspec=65532:65532", o.root, "/cairn")
	command = append(command, container.Args...)
	o.cmd = exec.Command(command[0], command[1:]...)
	o.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := os.OpenFile(o.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(p.t, err)
	defer log.Close()
	o.cmd.Stdout, o.cmd.Stderr = log, log
	must(p.t, o.cmd.Start())
	cmd, done := o.cmd, make(chan error, 1)
	o.done = done
	go func() { done <- cmd.Wait() }()
	p.publish()
}

// publish is what the cluster's name service does: each pod that runs has its name, and
// the headless service has all of their addresses.
func (p *pods) publish() {
	var hosts strings.Builder
	service := fmt.Sprintf("%s.%s.svc", p.set.Spec.ServiceName, p.set.Metadata.Namespace)
	for _, o := range p.all {
		if o.done != nil {
			fmt.Fprintf(&hosts, "%s %s.%s\n%s %s\n", o.address, o.name, service, o.address, service)
		}
	}
	for _, o := range p.all {
		file := filepath.Join(o.root, "etc/hosts")
		must(p.t, os.WriteFile(file+".new", []byte("127.0.0.1 localhost\n"+hosts.String()), 0o644))
		must(p.t, os.Rename(file+".new", file))
	}
}

// becomesReady waits for the readiness probe.
func (p *pods) becomesReady(o *pod) {
	p.t.Helper()
	transport := &http.Transport{DialContext: p.network.dial, DisableKeepAlives: true}
	client := http.Client{Transport: transport, Timeout: 2 * time.Second}
	url := "http://" + o.address + httpPort + p.set.Spec.Template.Spec.Containers[0].ReadinessProbe.HTTPGet.Path
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		response, err := client.Get(url)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				address := o.address + memcachedPort
				o.ready.Store(&address)
				return
			}
		}
		select {
		case err := <-o.done:
			p.t.Fatalf("%s has ended: %v", o.name, err)
		default:
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s does not become ready: %v", o.name, err)
		}
	}
}

// terminate stops a pod as Kubernetes does, when no client is sent to it any more.
func (p *pods) terminate(o *pod) {
	p.t.Helper()
	o.ready.Store(nil)
	must(p.t, o.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-o.done:
		if err != nil {
			p.t.Errorf("%s ends with %v", o.name, err)
		}
	case <-time.After(time.Duration(p.set.Spec.Template.Spec.Grace) * time.Second):
		p.t.Errorf("%s would be killed: it has not ended in time", o.name)
		_ = o.cmd.Process.Kill()
		<-o.done
	}
	o.done = nil
	p.publish()
}

// shopper stores sessions by way of pods that are ready.
type shopper struct {
	pods   *pods
	number int
	reader *bufio.Reader
	conn   io.ReadWriteCloser
	stored int           // sessions that were acknowledged
	gap    time.Duration // the longest time for one
}

func (s *shopper) key(n int) string { return fmt.Sprintf("shopper%d-%d", s.number, n) }

// connect does what a Service does: any pod that is ready.
func (s *shopper) connect(turn int) error {
	address := s.pods.all[(s.number+turn)%len(s.pods.all)].ready.Load()
	if address == nil {
		return errors.New("not ready")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := s.pods.network.dial(ctx, "tcp", *address)
	if err != nil {
		return err
	}
	s.conn, s.reader = conn, bufio.NewReader(conn)
	return nil
}

// store stores the next session, again if the connection is closed before the answer
// comes. Any other answer than an acknowledgement is an error.
func (s *shopper) store() error {
	began := time.Now()
	for turn := 0; ; turn++ {
		if s.conn == nil && s.connect(turn) != nil {
			time.Sleep(time.Millisecond)
			continue
		}
		key := s.key(s.stored)
		_, err := fmt.Fprintf(s.conn, "set %s 0 3600 %d\r\n%s\r\n", key, len(key), key)
		line := ""
		if err == nil {
			line, err = s.reader.ReadString('\n')
		}
		switch {
		case err != nil:
			s.conn.Close()
			s.conn = nil
			if time.Since(began) > patience {
				return err
			}
		case line != "STORED\r\n":
			return fmt.Errorf("set %s: %q", key, line)
		default:
			s.stored++
			s.gap = max(s.gap, time.Since(began))
			return nil
		}
	}
}

// missing counts the sessions that a pod does not have.
func (s *shopper) missing(o *pod) (n int, err error) {
	conn, err := s.pods.network.dial(s.pods.t.Context(), "tcp", o.address+memcachedPort)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for i := range s.stored {
		if _, err := fmt.Fprintf(conn, "mg %s v\r\n", s.key(i)); err != nil {
			return n, err
		}
		line, err := reader.ReadString('\n')
		if err == nil && strings.HasPrefix(line, "VA ") {
			line, err = reader.ReadString('\n')
		}
		if err != nil {
			return n, err
		}
		if line != s.key(i)+"\r\n" {
			n++
		}
	}
	return n, nil
}

// certificates makes an authority and one certificate of it, as in the secret of nodes.
func certificates(t *testing.T) map[string]string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	now := time.Now()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	ca, err := x509.CreateCertificate(rand.Reader, authority, authority, key.Public(), key)
	must(t, err)
	node := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "node"}, NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, node, authority, key.Public(), key)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	in := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return map[string]string{"tls.crt": in("CERTIFICATE", certificate), "tls.key": in("PRIVATE KEY", private), "ca.crt": in("CERTIFICATE", ca)}
}

// TestRollingUpdate runs the pods of deploy/kubernetes/cluster.yaml, and replaces one after
// the other, the last first, as a StatefulSet does, while sessions are stored by way of the
// pods that are ready: none is lost, and none is refused. It does not wait for
// minReadySeconds between them, nor for the pause before a stop.
func TestRollingUpdate(t *testing.T) {
	p := &pods{t: t, program: cairn(t)}
	p.readManifest("../deploy/kubernetes/cluster.yaml")
	p.network = newNetwork(t, p.set.Spec.Replicas)
	p.secrets = map[string]map[string]string{
		"cairn-tokens": {"tokens": "torture admin " + clusterToken + "\n"},
		"cairn-nodes":  certificates(t),
	}
	for i := range p.set.Spec.Replicas {
		p.all = append(p.all, p.create(i))
	}
	t.Cleanup(func() {
		for _, o := range p.all {
			if o.done != nil {
				_ = o.cmd.Process.Kill()
				<-o.done
			}
			if t.Failed() {
				log, _ := os.ReadFile(o.log)
				t.Logf("%s:\n%s", o.name, log[max(0, len(log)-4000):])
			}
		}
	})
	for _, o := range p.all { // podManagementPolicy: Parallel
		p.start(o)
	}
	for _, o := range p.all {
		p.becomesReady(o)
	}

	var shopping sync.WaitGroup
	closing := make(chan struct{})
	shoppers := make([]*shopper, 4)
	for i := range shoppers {
		s := &shopper{pods: p, number: i}
		shoppers[i] = s
		shopping.Go(func() {
			for {
				select {
				case <-closing:
					return
				default:
				}
				if err := s.store(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := len(p.all) - 1; i >= 0; i-- {
		p.terminate(p.all[i])
		p.start(p.all[i])
		p.becomesReady(p.all[i])
	}
	close(closing)
	shopping.Wait()
	stored, gap := 0, time.Duration(0)
	for _, s := range shoppers {
		stored, gap = stored+s.stored, max(gap, s.gap)
		for _, o := range p.all {
			if n, err := s.missing(o); n > 0 || err != nil {
				t.Errorf("%d of %d sessions are not at %s (%v)", n, s.stored, o.name, err)
			}
		}
	}
	if stored == 0 {
		t.Error("nothing was stored")
	}
	t.Logf("%d sessions were stored, each within %v", stored, gap)
}
