import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.nio.ByteBuffer;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import java.util.logging.Logger;
import javax.servlet.ServletException;
import javax.servlet.http.HttpServlet;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;
import net.spy.memcached.AddrUtil;
import net.spy.memcached.ConnectionFactoryBuilder;
import net.spy.memcached.MemcachedClient;
import org.apache.catalina.LifecycleException;
import org.apache.catalina.LifecycleState;
import org.apache.catalina.Session;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.session.ManagerBase;
import org.apache.catalina.session.StandardSession;
import org.apache.catalina.startup.Tomcat;
import org.apache.catalina.valves.ValveBase;

/**
 * A Tomcat whose sessions live in memcached, in the manner of
 * memcached-session-manager without sticky sessions: nothing stays in the
 * Tomcat between requests. Its one servlet counts a visitor's requests.
 *
 * Arguments: port to serve on, folder for Tomcat's files, address of the
 * server, session timeout in seconds.
 */
public class TomcatNode {
    public static void main(String[] args) throws Exception {
        Logger.getLogger("").setLevel(Level.WARNING);
        var tomcat = new Tomcat();
        tomcat.setBaseDir(args[1]);
        tomcat.setPort(Integer.parseInt(args[0]));
        tomcat.getConnector().setProperty("address", "127.0.0.1");
        var context = tomcat.addContext("", new File(args[1]).getAbsolutePath());
        var sessions = new RemoteSessions(args[2], Integer.parseInt(args[3]));
        context.setManager(sessions);
        context.getPipeline().addValve(sessions.new PerRequest());
        Tomcat.addServlet(context, "counter", new Counter());
        context.addServletMappingDecoded("/", "counter");
        tomcat.start();
        tomcat.getServer().await();
    }

    private static final class Counter extends HttpServlet {
        @Override
        protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
            var session = request.getSession();
            var payload = "\u00e4\u0000\u4e2d".repeat(300);
            int n = 1;
            if (session.getAttribute("n") != null) {
                n += (Integer) session.getAttribute("n");
                if (!payload.equals(session.getAttribute("payload"))) {
                    response.getWriter().print("payload damaged");
                    return;
                }
            }
            session.setAttribute("n", n);
            session.setAttribute("payload", payload);
            response.getWriter().print(n);
        }
    }
}

/** Loads a session when a request asks for it and stores it when the request ends. */
class RemoteSessions extends ManagerBase {
    private static final int LOCK_SECONDS = 5;

    private final MemcachedClient client;
    private final int timeout;

    RemoteSessions(String address, int timeout) throws IOException {
        this.timeout = timeout;
        client = new MemcachedClient(
                new ConnectionFactoryBuilder().setOpTimeout(10_000).setMaxReconnectDelay(1).build(),
                AddrUtil.getAddresses(address));
    }

    @Override
    public void load() {}

    @Override
    public void unload() {}

    @Override
    protected void startInternal() throws LifecycleException {
        super.startInternal();
        setState(LifecycleState.STARTING);
    }

    @Override
    protected void stopInternal() throws LifecycleException {
        setState(LifecycleState.STOPPING);
        super.stopInternal();
    }

    /** memcached-session-manager appends the name of the memcached node. */
    @Override
    protected String generateSessionId() {
        return super.generateSessionId() + "-n1";
    }

    @Override
    public Session createSession(String id) {
        var session = super.createSession(id);
        session.setMaxInactiveInterval(timeout);
        return session;
    }

    @Override
    public Session findSession(String id) throws IOException {
        if (id == null) {
            return null;
        }
        var present = super.findSession(id);
        return present != null ? present : fetch(id);
    }

    private Session fetch(String id) throws IOException {
        var validity = patiently(() -> (byte[]) client.get("validity:" + id));
        var bytes = patiently(() -> (byte[]) client.get(id));
        if (validity == null || bytes == null) {
            return null;
        }
        var session = (StandardSession) createEmptySession();
        try (var in = new ObjectInputStream(new ByteArrayInputStream(bytes))) {
            session.readObjectData(in);
        } catch (ClassNotFoundException e) {
            throw new IOException(e);
        }
        session.setManager(this);
        add(session);
        return session;
    }

    private void keep(StandardSession session) throws IOException {
        var bytes = new ByteArrayOutputStream();
        try (var out = new ObjectOutputStream(bytes)) {
            session.writeObjectData(out);
        }
        store(session.getIdInternal(), bytes.toByteArray());
        store("validity:" + session.getIdInternal(), ByteBuffer.allocate(20)
                .putInt(timeout)
                .putLong(session.getLastAccessedTimeInternal())
                .putLong(session.getThisAccessedTimeInternal())
                .array());
    }

    private void store(String key, byte[] value) throws IOException {
        if (!patiently(() -> client.set(key, 2 * timeout, value).get(10, TimeUnit.SECONDS))) {
            throw new IOException("set " + key + " was not stored");
        }
    }

    private void lock(String id) throws IOException {
        for (int i = 0; i < 500; i++) {
            if (patiently(() -> client.add("lock:" + id, LOCK_SECONDS, "locked").get(10, TimeUnit.SECONDS))) {
                return;
            }
            pause();
        }
        throw new IOException("the lock is never free");
    }

    private interface Operation<T> {
        T run() throws Exception;
    }

    /** Repeats what may be repeated until the server answers it. */
    private static <T> T patiently(Operation<T> operation) throws IOException {
        Exception failure = null;
        for (int i = 0; i < 600; i++) {
            try {
                return operation.run();
            } catch (Exception e) {
                failure = e;
                pause();
            }
        }
        throw new IOException(failure);
    }

    private static void pause() throws IOException {
        try {
            Thread.sleep(50);
        } catch (InterruptedException e) {
            throw new IOException(e);
        }
    }

    /** Locks the session of each request, and stores it at the request's end. */
    class PerRequest extends ValveBase {
        @Override
        public void invoke(Request request, Response response) throws IOException, ServletException {
            var id = request.getRequestedSessionId();
            if (id != null) {
                lock(id);
            }
            try {
                getNext().invoke(request, response);
                var session = (StandardSession) request.getSessionInternal(false);
                if (session != null) {
                    remove(session);
                    keep(session);
                }
            } finally {
                if (id != null) {
                    client.delete("lock:" + id);
                }
            }
        }
    }
}
