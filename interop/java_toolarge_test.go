package interop

import "testing"

// TestSpymemcachedTooLarge stores values that the server refuses, in the binary
// protocol: spymemcached gives a connection up for lost if the answer comes while
// it still sends.
func TestSpymemcachedTooLarge(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	classPath := compileJava(t, []string{spymemcached}, "java/TooLarge.java")
	client := startDialogue(t, nil, "java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", classPath,
		"TooLarge", srv.addr, "9000000", "5", "20")
	line, err := client.line.ReadString('\n')
	if err != nil || line != "refused 5, answered 100\n" {
		t.Errorf("%q, %v", line, err)
	}
}
