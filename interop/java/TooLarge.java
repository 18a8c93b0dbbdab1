import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import net.spy.memcached.AddrUtil;
import net.spy.memcached.ConnectionFactoryBuilder;
import net.spy.memcached.ConnectionFactoryBuilder.Protocol;
import net.spy.memcached.MemcachedClient;
import net.spy.memcached.transcoders.SerializingTranscoder;

/**
 * Stores values that are too large for the server through spymemcached, each
 * followed by gets on the same connection. Prints how many sets were refused
 * and how many gets were answered.
 *
 * Arguments: address of the server, size of the values in bytes, number of
 * rounds, gets per round.
 */
public class TooLarge {
    public static void main(String[] args) {
        try {
            System.out.println(run(args[0], Integer.parseInt(args[1]), Integer.parseInt(args[2]), Integer.parseInt(args[3])));
        } catch (Exception e) {
            System.out.println("error: " + e);
        }
        System.exit(0); // the client's threads would go on
    }

    private static String run(String address, int size, int rounds, int gets) throws Exception {
        var client = new MemcachedClient(
                new ConnectionFactoryBuilder()
                        .setProtocol(Protocol.BINARY)
                        .setOpTimeout(20_000)
                        .setTranscoder(new SerializingTranscoder(Integer.MAX_VALUE))
                        .build(),
                AddrUtil.getAddresses(address));
        client.set("small", 0, "value").get(20, TimeUnit.SECONDS);
        var value = new byte[size];
        new Random(1).nextBytes(value);
        int refused = 0, answered = 0;
        for (int round = 0; round < rounds; round++) {
            var stored = client.set("large", 0, value);
            for (int i = 0; i < gets; i++) {
                if ("value".equals(client.get("small"))) {
                    answered++;
                }
            }
            try {
                if (!stored.get(20, TimeUnit.SECONDS)) {
                    refused++;
                }
            } catch (ExecutionException e) {
                refused++;
            }
        }
        return "refused " + refused + ", answered " + answered;
    }
}
