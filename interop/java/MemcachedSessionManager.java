import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import net.spy.memcached.AddrUtil;
import net.spy.memcached.ConnectionFactoryBuilder;
import net.spy.memcached.ConnectionFactoryBuilder.Protocol;
import net.spy.memcached.MemcachedClient;

/**
 * Talks to the server through spymemcached as memcached-session-manager does
 * for non-sticky sessions. Reads one command per line and answers each with
 * one line:
 *
 * <pre>
 * request SID TIMEOUT   one web request that changes the session: the new count
 * ping SID              the end of one that did not: alive or gone
 * get KEY               the length of an item, or absent
 * store SID FILE TIMEOUT  the end of a request that changed the session to what FILE holds
 * backups               since the last such question: how many there were, how many of them took
 *                       longer than the session manager waits, and milliseconds of the longest
 * kick OWNER            ends a user's sessions by the control key: ended or nobody
 * </pre>
 *
 * Arguments: address of the server, TEXT or BINARY.
 */
public class MemcachedSessionManager {
    private static final int VALIDITY_LENGTH = 20;
    private static final int LOCK_SECONDS = 5;
    private static final long BACKUP_MILLIS = 100; // sessionBackupTimeout, by default

    private final MemcachedClient client;
    private long backups;
    private long late;
    private long longest;

    MemcachedSessionManager(String address, Protocol protocol) throws Exception {
        client = new MemcachedClient(
                new ConnectionFactoryBuilder().setProtocol(protocol).setOpTimeout(10_000).build(),
                AddrUtil.getAddresses(address));
    }

    public static void main(String[] args) throws Exception {
        var manager = new MemcachedSessionManager(args[0], Protocol.valueOf(args[1]));
        var in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            System.out.println(manager.answer(line.split(" ")));
        }
        System.exit(0);
    }

    private String answer(String[] words) {
        try {
            switch (words[0]) {
                case "request":
                    return request(words[1], Integer.parseInt(words[2]));
                case "ping":
                    return ping(words[1]);
                case "get":
                    var item = (byte[]) client.get(words[1]);
                    return item == null ? "absent" : Integer.toString(item.length);
                case "store":
                    store(words[1], Files.readAllBytes(Path.of(words[2])), 2 * Integer.parseInt(words[3]));
                    store("validity:" + words[1], validityOf(Integer.parseInt(words[3])), 2 * Integer.parseInt(words[3]));
                    return "stored";
                case "backups":
                    var answer = backups + " " + late + " " + longest;
                    backups = late = longest = 0;
                    return answer;
                case "kick":
                    return client.delete("cairn:owner:" + words[1]).get(10, TimeUnit.SECONDS) ? "ended" : "nobody";
                default:
                    return "error: unknown command " + words[0];
            }
        } catch (Exception e) {
            return "error: " + e.toString().replace('\n', ' ');
        }
    }

    private String request(String sid, int timeout) throws Exception {
        lock(sid);
        try {
            var validity = (byte[]) client.get("validity:" + sid);
            var session = (byte[]) client.get(sid);
            if ((validity == null) != (session == null)) {
                return "error: session and validity disagree";
            }
            if (validity != null && validity.length != VALIDITY_LENGTH) {
                return "error: validity has " + validity.length + " bytes";
            }
            int count = session == null ? 0 : countOf(session);
            store(sid, sessionOf(count + 1), 2 * timeout);
            store("validity:" + sid, validityOf(timeout), 2 * timeout);
            return Integer.toString(count + 1);
        } finally {
            client.delete("lock:" + sid);
        }
    }

    /** memcached-session-manager's lock: an item that only one can add. */
    private void lock(String sid) throws Exception {
        for (int i = 0; i < 1000; i++) {
            if (client.add("lock:" + sid, LOCK_SECONDS, "locked").get(10, TimeUnit.SECONDS)) {
                return;
            }
            Thread.sleep(20);
        }
        throw new IllegalStateException("the lock is never free");
    }

    private void store(String key, byte[] value, int seconds) throws Exception {
        long began = System.nanoTime();
        if (!client.set(key, seconds, value).get(10, TimeUnit.SECONDS)) {
            throw new IllegalStateException("set " + key + " was not stored");
        }
        long took = (System.nanoTime() - began) / 1_000_000;
        backups++;
        late += took > BACKUP_MILLIS ? 1 : 0;
        longest = Math.max(longest, took);
    }

    private String ping(String sid) throws Exception {
        return client.add(sid, LOCK_SECONDS, new byte[] {1}).get(10, TimeUnit.SECONDS) ? "gone" : "alive";
    }

    /** A session: its count and a kilobyte of every byte value. */
    private static byte[] sessionOf(int count) {
        var bytes = ByteBuffer.allocate(4 + 1024).putInt(count);
        while (bytes.hasRemaining()) {
            bytes.put((byte) bytes.position());
        }
        return bytes.array();
    }

    private static int countOf(byte[] session) {
        int count = ByteBuffer.wrap(session).getInt();
        if (!Arrays.equals(session, sessionOf(count))) {
            throw new IllegalStateException("session damaged");
        }
        return count;
    }

    private static byte[] validityOf(int timeout) {
        long now = System.currentTimeMillis();
        return ByteBuffer.allocate(VALIDITY_LENGTH).putInt(timeout).putLong(now).putLong(now).array();
    }
}
