"""psycopg 3, blocking."""

import psycopg
from adapter import rows, serve


class Driver:
    connection = None

    def connect(self, string):
        self.close()
        self.connection = psycopg.connect(string, autocommit=True)

    def query(self, sql):
        cursor = self.connection.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None

    def transaction(self, statements):
        with self.connection.transaction():
            for sql in statements.split(";;"):
                self.connection.execute(sql)

    def copy_in(self, rest):
        table, count = rest.split()
        with self.connection.cursor().copy(f"copy {table} from stdin") as copy:
            copy.write(rows(count))

    def copy_out(self, sql):
        with self.connection.cursor().copy(f"copy ({sql}) to stdout") as copy:
            return sum(bytes(block).count(b"\n") for block in copy)

    def cancel(self, _):
        self.connection.cancel()

    def close(self, _=""):
        if self.connection is not None:
            self.connection.close()


serve(
    Driver(),
    f"{psycopg.__version__}, libpq {psycopg.pq.version() // 10000}",
    lambda error: getattr(error, "sqlstate", None),
)
