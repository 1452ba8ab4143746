import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.StringReader;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Timer;
import java.util.TimerTask;
import org.postgresql.PGConnection;

/** Drives pgjdbc by lines, as python_driver.py does its driver. */
public class Jdbc {
  private static Connection connection;

  public static void main(String[] args) throws Exception {
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
    System.out.println("ready");
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      String[] words = line.split("\t", 2);
      String answer;
      try {
        answer = "ok" + act(words[0], words.length > 1 ? words[1] : "");
      } catch (SQLException problem) {
        Throwable cause = problem.getCause();
        String text = problem.getMessage() + (cause == null ? "" : " (" + cause.getMessage() + ")");
        answer = "error\t" + (problem.getSQLState() == null ? "-" : problem.getSQLState()) + "\t"
            + text.replaceAll("\\s+", " ");
      }
      System.out.println(answer);
    }
    System.exit(0);
  }

  private static String act(String what, String argument) throws Exception {
    if (what.equals("connect")) {
      connection = DriverManager.getConnection(argument);
      return "";
    }
    if (what.equals("close")) {
      connection.close();
      return "";
    }
    connection.setAutoCommit(false);
    try (Statement statement = connection.createStatement()) {
      String result = "";
      if (what.equals("query")) {
        try (ResultSet rows = statement.executeQuery(argument)) {
          rows.next();
          for (int at = 1; at <= rows.getMetaData().getColumnCount(); at++) result += "\t" + rows.getString(at);
        }
      } else if (what.equals("copy")) {
        statement.execute("create temp table copied (n int)");
        StringBuilder data = new StringBuilder();
        for (int n = 0; n < Integer.parseInt(argument); n++) data.append(n).append('\n');
        connection.unwrap(PGConnection.class).getCopyAPI()
            .copyIn("copy copied from stdin", new StringReader(data.toString()));
        try (ResultSet rows = statement.executeQuery("select count(*) from copied")) {
          rows.next();
          result = "\t" + rows.getString(1);
        }
      } else {
        Timer timer = new Timer(true);
        timer.schedule(new TimerTask() {
          public void run() {
            try {
              statement.cancel();
            } catch (SQLException ignored) {
              // The query tells.
            }
          }
        }, 300);
        statement.executeQuery("select pg_sleep(60)");
      }
      connection.commit();
      return result;
    } catch (SQLException problem) {
      if (!connection.isClosed()) connection.rollback();
      throw problem;
    }
  }
}
