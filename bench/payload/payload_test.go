package payload_test

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"cairn/bench/payload"
)

func TestSameSeedSameBytes(t *testing.T) {
	digest := func(seed uint64) string {
		pool := payload.NewPool(payload.Options{Count: 60, Seed: seed})
		hash := sha256.New()
		for number := range uint64(200) {
			hash.Write(pool.Append(nil, number, 3))
		}
		return hex.EncodeToString(hash.Sum(nil))
	}
	first, again, other := digest(1), digest(1), digest(2)
	if first != again {
		t.Error("the same seed gave different sessions")
	}
	if first == other {
		t.Error("different seeds gave the same sessions")
	}
}

func TestSizesAndEntropy(t *testing.T) {
	deflate, err := flate.NewWriter(nil, flate.DefaultCompression)
	if err != nil {
		t.Fatal(err)
	}
	const sessions = 500
	for _, format := range payload.Mix {
		pool := payload.NewPool(payload.Options{Formats: []payload.Format{format}, Count: sessions})
		var sum, compressed float64
		smallest := payload.MaxSize
		for number := range uint64(sessions) {
			value := pool.Append(nil, number, 0)
			// The last entry may overshoot the drawn size.
			if len(value) < payload.MinSize || len(value) > payload.MaxSize+800 || len(value) != pool.Size(number) {
				t.Fatalf("%s: session %d has %d bytes, Size says %d", format, number, len(value), pool.Size(number))
			}
			sum += float64(len(value))
			smallest = min(smallest, len(value))
			compressed += float64(deflatedSize(t, deflate, value))
		}
		mean, ratio := sum/sessions, compressed/sum
		t.Logf("%s: from %d bytes, mean %.0f, each deflates to %.2f", format, smallest, mean, ratio)
		if mean < 1000 || mean > 3000 {
			t.Errorf("%s: mean size %.0f bytes", format, mean)
		}
		if ratio < 0.3 || ratio > 0.8 {
			t.Errorf("%s: a session alone deflates to %.2f of its size", format, ratio)
		}
	}
}

func TestRevision(t *testing.T) {
	for _, format := range append(payload.Mix, payload.Opaque, payload.Random) {
		pool := payload.NewPool(payload.Options{Formats: []payload.Format{format}, Count: 50})
		for number := range uint64(200) {
			number *= 5_000_011
			value := pool.Append([]byte("x"), number, 77)[1:]
			if revision, ok := pool.Revision(value, number); !ok || revision != 77 {
				t.Fatalf("%s: session %d: revision %d, %v", format, number, revision, ok)
			}
			if _, ok := pool.Revision(value, number+1); ok {
				t.Fatalf("%s: session %d passes for its neighbour", format, number)
			}
			if _, ok := pool.Revision(value[:len(value)-1], number); ok {
				t.Fatalf("%s: session %d passes although cut", format, number)
			}
		}
	}
}

func TestJSONIsValid(t *testing.T) {
	pool := payload.NewPool(payload.Options{Formats: []payload.Format{payload.JSON}, Count: 100})
	for number := range uint64(300) {
		if value := pool.Append(nil, number, 9); !json.Valid(value) {
			t.Fatalf("session %d is no JSON: %s", number, value)
		}
	}
}

// PHP itself must accept the sessions that look like PHP's.
func TestPHPReadsPHP(t *testing.T) {
	php := program(t, "php")
	script := `ini_set('session.use_cookies', 0); ini_set('session.cache_limiter', '');
		session_save_path($argv[1]); session_start();
		foreach (array_slice($argv, 2) as $file) {
			$_SESSION = [];
			if (!session_decode(file_get_contents($file)) || count($_SESSION) != 3
				|| count($_SESSION['_sf2_attributes']) < 5) { echo $file; exit(1); }
		}`
	dir, files := writeSessions(t, payload.PHP, 100)
	out, err := exec.Command(php, append([]string{"-r", script, dir}, files...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("php: %v\n%s", err, out)
	}
}

// Java's own ObjectInputStream must accept the sessions that look like Java's.
func TestJavaReadsJava(t *testing.T) {
	java := program(t, "java")
	dir, files := writeSessions(t, payload.Java, 100)
	source := filepath.Join(dir, "Reader.java")
	if err := os.WriteFile(source, []byte(javaReader), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(java, append([]string{source}, files...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("java: %v\n%s", err, out)
	}
}

// The reader stands in for the shop's classes with its own of the same shape.
const javaReader = `
import java.io.*;
import java.util.*;
public class Reader {
	static class CartItem implements Serializable {
		private static final long serialVersionUID = 0x1f3a55c20b6e9d41L;
		long addedAt; double price; int quantity; String sku, title;
	}
	static class PageView implements Serializable {
		private static final long serialVersionUID = 0x6b90c4417d21ee08L;
		long at; int productId;
	}
	static class Stream extends ObjectInputStream {
		Stream(InputStream in) throws IOException { super(in); }
		protected ObjectStreamClass readClassDescriptor() throws IOException, ClassNotFoundException {
			ObjectStreamClass c = super.readClassDescriptor();
			if (c.getName().endsWith(".CartItem")) return ObjectStreamClass.lookup(CartItem.class);
			if (c.getName().endsWith(".PageView")) return ObjectStreamClass.lookup(PageView.class);
			return c;
		}
	}
	public static void main(String[] files) throws Exception {
		for (String file : files) {
			try (Stream in = new Stream(new FileInputStream(file))) {
				Map<?, ?> session = (Map<?, ?>) in.readObject();
				for (Object o : (List<?>) session.get("cart"))
					if (((CartItem) o).title.isEmpty()) throw new Exception("no title in " + file);
				if (session.size() < 6 || !(session.get("user.id") instanceof Long) || in.read() != -1)
					throw new Exception("wrong content in " + file);
			}
		}
	}
}`

func writeSessions(t *testing.T, format payload.Format, count int) (dir string, files []string) {
	t.Helper()
	dir = t.TempDir()
	pool := payload.NewPool(payload.Options{Formats: []payload.Format{format}, Count: count})
	for number := range uint64(count) {
		file := filepath.Join(dir, "session"+hex.EncodeToString([]byte{byte(number)}))
		if err := os.WriteFile(file, pool.Append(nil, number, 1), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return dir, files
}

// program finds an interpreter, which may be missing except on CI.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") != "":
		t.Fatalf("%s is not installed", name)
	default:
		t.Skipf("%s is not installed", name)
	}
	return ""
}

// deflatedSize tells how well value compresses alone. The writer is reset for it.
func deflatedSize(t *testing.T, w *flate.Writer, value []byte) int {
	t.Helper()
	var out bytes.Buffer
	w.Reset(&out)
	_, err := w.Write(value)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Len()
}

func TestParseFormats(t *testing.T) {
	for text, want := range map[string]int{"mix": 0, "php,json": 0, "opaque": 0, "opaque:2000": 2000, "random:1800": 1800, "java,random": 0} {
		if o, err := payload.ParseFormats(text); err != nil || o.Size != want || len(o.Formats) == 0 {
			t.Errorf("%s: %+v, %v", text, o, err)
		}
	}
	for _, text := range []string{"", "xml", "php:100", "mix:5", "random:", "random:x", "random:5", "opaque:100000000"} {
		if o, err := payload.ParseFormats(text); err == nil {
			t.Errorf("%s: %+v", text, o)
		}
	}
}

// Random sessions are what no compressor makes smaller.
func TestRandomIsIncompressible(t *testing.T) {
	deflate, err := flate.NewWriter(nil, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	pool := payload.NewPool(payload.Options{Formats: []payload.Format{payload.Random}, Size: 4000, Count: 1})
	if n := deflatedSize(t, deflate, pool.Append(nil, 7, 1)); n < 4000 {
		t.Errorf("4000 bytes deflate to %d", n)
	}
}
