"""psycopg 3 under asyncio: the loop runs in a thread of its own."""

import asyncio
import threading

import psycopg
from adapter import rows, serve

loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()


def in_loop(method):
    """The method as one that blocks its caller, not the loop."""

    def call(self, rest=""):
        return asyncio.run_coroutine_threadsafe(method(self, rest), loop).result()

    return call


class Driver:
    connection = None

    @in_loop
    async def connect(self, string):
        if self.connection is not None:
            await self.connection.close()
        self.connection = await psycopg.AsyncConnection.connect(string, autocommit=True)

    @in_loop
    async def query(self, sql):
        cursor = await self.connection.execute(sql)
        return (await cursor.fetchone())[0] if cursor.description else None

    @in_loop
    async def transaction(self, statements):
        async with self.connection.transaction():
            for sql in statements.split(";;"):
                await self.connection.execute(sql)

    @in_loop
    async def copy_in(self, rest):
        table, count = rest.split()
        async with self.connection.cursor().copy(f"copy {table} from stdin") as copy:
            await copy.write(rows(count))

    @in_loop
    async def copy_out(self, sql):
        lines = 0
        async with self.connection.cursor().copy(f"copy ({sql}) to stdout") as copy:
            async for block in copy:
                lines += bytes(block).count(b"\n")
        return lines

    @in_loop
    async def cancel(self, _):
        self.connection.cancel()

    @in_loop
    async def close(self, _):
        if self.connection is not None:
            await self.connection.close()


serve(
    Driver(),
    f"{psycopg.__version__}, libpq {psycopg.pq.version() // 10000}",
    lambda error: getattr(error, "sqlstate", None),
)
