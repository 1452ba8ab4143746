"""psycopg 2."""

import io

import psycopg2
from adapter import rows, serve


class Driver:
    connection = None

    def connect(self, string):
        self.close()
        self.connection = psycopg2.connect(string)
        self.connection.autocommit = True

    def query(self, sql):
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0] if cursor.description else None

    def transaction(self, statements):
        self.connection.autocommit = False
        with self.connection, self.connection.cursor() as cursor:
            for sql in statements.split(";;"):
                cursor.execute(sql)
        self.connection.autocommit = True

    def copy_in(self, rest):
        table, count = rest.split()
        with self.connection.cursor() as cursor:
            cursor.copy_expert(f"copy {table} from stdin", io.StringIO(rows(count)))

    def copy_out(self, sql):
        output = io.StringIO()
        with self.connection.cursor() as cursor:
            cursor.copy_expert(f"copy ({sql}) to stdout", output)
        return output.getvalue().count("\n")

    def cancel(self, _):
        self.connection.cancel()

    def close(self, _=""):
        if self.connection is not None:
            self.connection.close()


serve(
    Driver(),
    f"{psycopg2.__version__.split()[0]}, libpq {psycopg2.extensions.libpq_version() // 10000}",
    lambda error: getattr(error, "pgcode", None),
)
