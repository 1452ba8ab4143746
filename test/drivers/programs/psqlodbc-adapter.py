"""psqlODBC under unixODBC, by way of pyodbc. ODBC has no COPY."""

import pyodbc
from adapter import serve


class Driver:
    connection = None
    cursor = None

    def connect(self, string):
        self.close()
        self.connection = pyodbc.connect(string, autocommit=True)

    def query(self, sql):
        self.cursor = self.connection.cursor()
        self.cursor.execute(sql)
        return self.cursor.fetchone()[0] if self.cursor.description else None

    def transaction(self, statements):
        self.connection.autocommit = False
        for sql in statements.split(";;"):
            self.connection.execute(sql)
        self.connection.commit()
        self.connection.autocommit = True

    def cancel(self, _):
        self.cursor.cancel()

    def close(self, _=""):
        if self.connection is not None:
            connection, self.connection = self.connection, None
            try:
                connection.close()
            except pyodbc.Error:
                pass  # A lost one cannot roll back, and is gone all the same.


def version():
    """The driver's own, known only with a connection: that of the package stands in its library's name."""
    return f"pyodbc {pyodbc.version}"


serve(Driver(), version(), lambda error: error.args[0] if isinstance(error, pyodbc.Error) else None)
