import java.sql.Connection;
import java.sql.DriverManager;

/** How long pgjdbc takes for the first connection by the second URL; one by the first URL has loaded its classes. */
public final class ConnectTime {
    public static void main(String[] arguments) throws Exception {
        DriverManager.getConnection(arguments[0]).close();
        long begun = System.nanoTime();
        try (Connection connection = DriverManager.getConnection(arguments[1])) {
            System.out.printf(java.util.Locale.ROOT, "connected %.2f%n", (System.nanoTime() - begun) / 1e6);
        }
    }
}
