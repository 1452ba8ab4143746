"""The pool of psycopg 3, with two connections."""

import psycopg
import psycopg_pool
from adapter import rows, serve


class Driver:
    pool = None
    used = None

    def connect(self, string):
        self.close()
        self.pool = psycopg_pool.ConnectionPool(
            string, min_size=2, timeout=5, kwargs={"autocommit": True}, open=True
        )
        self.pool.wait(timeout=5)

    def reconnect(self, _):
        """What a pool asks of an application: nothing; what is broken is replaced."""
        self.pool.check()
        self.pool.wait(timeout=5)

    def query(self, sql):
        with self.pool.connection() as connection:
            self.used = connection
            cursor = connection.execute(sql)
            return cursor.fetchone()[0] if cursor.description else None

    def transaction(self, statements):
        with self.pool.connection() as connection, connection.transaction():
            for sql in statements.split(";;"):
                connection.execute(sql)

    def copy_in(self, rest):
        table, count = rest.split()
        with self.pool.connection() as connection:
            with connection.cursor().copy(f"copy {table} from stdin") as copy:
                copy.write(rows(count))

    def copy_out(self, sql):
        with self.pool.connection() as connection:
            with connection.cursor().copy(f"copy ({sql}) to stdout") as copy:
                return sum(bytes(block).count(b"\n") for block in copy)

    def cancel(self, _):
        self.used.cancel()

    def close(self, _=""):
        if self.pool is not None:
            self.pool.close()
            self.pool = None


serve(
    Driver(),
    f"{psycopg_pool.__version__}, psycopg {psycopg.__version__}, libpq {psycopg.pq.version() // 10000}",
    lambda error: getattr(error, "sqlstate", None),
)
