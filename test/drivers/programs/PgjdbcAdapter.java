import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.StringReader;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.postgresql.PGConnection;

/** pgjdbc. Requests on standard input, answers on standard output (see ../README.md). */
public final class PgjdbcAdapter {
    private static Connection connection;
    private static volatile Statement running;

    public static void main(String[] arguments) throws Exception {
        say("{\"version\":" + quoted(org.postgresql.util.DriverInfo.DRIVER_VERSION) + "}");
        ExecutorService worker = Executors.newSingleThreadExecutor();
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] words = line.split(" ", 3);
            Runnable work = () -> perform(words[0], words[1], words.length > 2 ? words[2] : "");
            if (words[1].equals("cancel")) {
                work.run();
            } else {
                worker.execute(work);
            }
        }
        System.exit(0);
    }

    private static void perform(String id, String verb, String rest) {
        try {
            String value = act(verb, rest);
            if (value == null) {
                say("{\"id\":" + id + ",\"error\":\"there is no " + verb + "\",\"unknown\":true}");
            } else {
                say("{\"id\":" + id + ",\"value\":" + quoted(value) + "}");
            }
        } catch (SQLException error) {
            fail(id, error, error.getSQLState());
        } catch (Exception error) {
            fail(id, error, null);
        }
    }

    private static String act(String verb, String rest) throws Exception {
        switch (verb) {
            case "connect":
                close();
                connection = DriverManager.getConnection(rest);
                return "";
            case "query":
                try (Statement statement = connection.createStatement()) {
                    running = statement;
                    if (!statement.execute(rest)) {
                        return "";
                    }
                    try (ResultSet rows = statement.getResultSet()) {
                        return rows.next() ? String.valueOf(rows.getString(1)) : "";
                    }
                }
            case "transaction":
                connection.setAutoCommit(false);
                for (String sql : rest.split(";;")) {
                    try (Statement statement = connection.createStatement()) {
                        statement.execute(sql);
                    }
                }
                connection.commit();
                connection.setAutoCommit(true);
                return "";
            case "copy-in":
                String[] words = rest.split(" ");
                StringBuilder rows = new StringBuilder();
                for (int row = 1; row <= Integer.parseInt(words[1]); row++) {
                    rows.append(row).append('\n');
                }
                connection.unwrap(PGConnection.class).getCopyAPI()
                    .copyIn("copy " + words[0] + " from stdin", new StringReader(rows.toString()));
                return "";
            case "copy-out":
                StringWriter output = new StringWriter();
                connection.unwrap(PGConnection.class).getCopyAPI().copyOut("copy (" + rest + ") to stdout", output);
                return String.valueOf(output.toString().chars().filter(one -> one == '\n').count());
            case "cancel":
                running.cancel();
                return "";
            case "close":
                close();
                return "";
            default:
                return null;
        }
    }

    private static void close() throws SQLException {
        if (connection != null) {
            connection.close();
        }
    }

    private static void fail(String id, Exception error, String state) {
        StringBuilder text = new StringBuilder(String.valueOf(error.getMessage()));
        for (Throwable cause = error.getCause(); cause != null; cause = cause.getCause()) {
            text.append(" (").append(cause.getMessage()).append(')');
        }
        say("{\"id\":" + id + ",\"error\":" + quoted(text.toString().trim()) + ",\"sqlstate\":"
            + (state == null ? "null" : quoted(state)) + ",\"kind\":" + quoted(error.getClass().getSimpleName()) + "}");
    }

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    private static String quoted(String text) {
        StringBuilder json = new StringBuilder("\"");
        for (char one : text.toCharArray()) {
            if (one == '"' || one == '\\') {
                json.append('\\').append(one);
            } else if (one < ' ') {
                json.append(String.format("\\u%04x", (int) one));
            } else {
                json.append(one);
            }
        }
        return json.append('"').toString();
    }

    private PgjdbcAdapter() { }
}
