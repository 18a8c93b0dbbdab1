import java.io.*;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.time.Instant;
import java.util.*;
import java.util.concurrent.*;

/** Writes Java sessions, and one as memcached-session-manager lays it out. */
public class Generate {
    enum Role { ADMIN, USER }

    static class Base implements Serializable {
        private static final long serialVersionUID = 1;
        int base = 3;
    }

    static class Cart extends Base {
        private static final long serialVersionUID = 2;
        String owner = "alice";
        List<String> items = new ArrayList<>(List.of("x", "y"));
        double total = 9.5;
        char letter = 'ß';
        Cart self = this;
        byte[] raw = {1, -1};
        int[] numbers = {1, -2};
        transient int skipped = 1;
    }

    static byte[] stream(Object... values) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
            for (Object v : values) {
                out.writeObject(v);
            }
        }
        return bytes.toByteArray();
    }

    public static void main(String[] args) throws Exception {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("user", "Grüße \uD83D\uDE00\0");
        map.put("id", 42);
        map.put("long", 1L << 40);
        map.put("yes", true);
        map.put("pi", 3.25f);
        map.put("nothing", null);
        map.put("cart", new Cart());
        map.put("role", Role.ADMIN);
        map.put("date", new Date(1_800_000_000_123L));
        map.put("big", new BigInteger("123456789012345678901234567890"));
        map.put("price", new BigDecimal("9.90"));
        map.put("instant", Instant.ofEpochSecond(1_800_000_000L));
        map.put("set", new TreeSet<>(List.of("a", "b")));
        map.put("uuid", new UUID(1, 2));
        map.put("linked", new LinkedList<>(List.of(1, 2)));
        map.put("tree", new TreeMap<>(Map.of("k", "v")));
        map.put("concurrent", new ConcurrentHashMap<>(Map.of("k", "v")));
        map.put("immutable", List.of(1, 2));
        map.put("strings", new String[] {"a", "a"});
        map.put("class", String.class);
        Files.write(Path.of("java.bin"), stream(map));

        byte[] attributes = stream(2, "user", "alice", "cart", new ArrayList<>(List.of("x", "y")));
        byte[] principal = stream("alice", new String[] {"admin"});
        Files.write(Path.of("msm.bin"), msm(attributes, principal));
        Files.write(Path.of("msm_kryo.bin"), msm("\1\2opaque attributes".getBytes(), new byte[0]));
        ByteArrayOutputStream validity = new ByteArrayOutputStream();
        try (DataOutputStream out = new DataOutputStream(validity)) {
            out.writeInt(1800);
            out.writeLong(1_800_000_000_000L);
            out.writeLong(1_800_000_001_000L);
        }
        Files.write(Path.of("msm_validity.bin"), validity.toByteArray());
    }

    static byte[] msm(byte[] attributes, byte[] principal) throws IOException {
        byte[] id = "0123456789ABCDEF-n1".getBytes(StandardCharsets.UTF_8);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        out.writeShort(2);
        out.writeShort(44 + id.length + 2 + 2 + principal.length + 2 + 2);
        out.writeLong(1_800_000_000_000L);
        out.writeLong(1_800_000_001_000L);
        out.writeInt(1800);
        out.writeByte('0');
        out.writeByte('1');
        out.writeLong(1_800_000_002_000L);
        out.writeLong(1_800_000_003_000L);
        out.writeShort(id.length);
        out.write(id);
        out.writeShort(4);
        out.writeShort(principal.length);
        out.write(principal);
        out.writeShort(0);
        out.writeShort(0);
        out.write(attributes);
        return bytes.toByteArray();
    }
}
