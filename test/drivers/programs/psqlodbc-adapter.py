"""psqlODBC under unixODBC, by way of pyodbc. ODBC has no COPY."""

import subprocess

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
    """That of the package: the driver itself tells it only with a connection."""
    query = ["dpkg-query", "--show", "--showformat", "${source:Upstream-Version}", "odbc-postgresql"]
    return subprocess.run(query, capture_output=True, text=True, check=True).stdout


def told(error):
    """The diagnostic record, of which pyodbc makes the second argument of its exception."""
    return error.args[1] if isinstance(error, pyodbc.Error) else str(error)


serve(
    Driver(),
    version(),
    lambda error: error.args[0] if isinstance(error, pyodbc.Error) else None,
    told,
)
