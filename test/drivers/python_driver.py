"""Drives psycopg 2 or 3 by lines: `connect DSN`, `query SQL`, `copy N`, `cancel`, `close`, fields separated by tabs.

Each line is answered by one: `ok VALUE...` or `error SQLSTATE TEXT`. Argument: psycopg2, psycopg, or psycopg-async.
"""
import asyncio
import io
import sys
import threading

KIND = sys.argv[1]


def error_of(problem):
    state = getattr(problem, "sqlstate", None) or getattr(problem, "pgcode", None) or "-"
    return "error", state, " ".join(str(problem).split())


def psycopg2_program():
    import psycopg2

    connection = None

    def act(what, argument):
        nonlocal connection
        if what == "connect":
            connection = psycopg2.connect(argument)
            return []
        if what == "close":
            connection.close()
            return []
        cursor = connection.cursor()
        try:
            result = []
            if what == "query":
                cursor.execute(argument)
                result = [str(value) for value in cursor.fetchone()]
            elif what == "copy":
                cursor.execute("create temp table copied (n int)")
                cursor.copy_from(io.StringIO("".join(f"{n}\n" for n in range(int(argument)))), "copied")
                cursor.execute("select count(*) from copied")
                result = [str(cursor.fetchone()[0])]
            else:
                threading.Timer(0.3, connection.cancel).start()
                cursor.execute("select pg_sleep(60)")
            connection.commit()
            return result
        except psycopg2.Error:
            if not connection.closed:
                connection.rollback()
            raise

    return act


def psycopg3_program():
    import psycopg

    connection = None

    def act(what, argument):
        nonlocal connection
        if what == "connect":
            connection = psycopg.connect(argument)
            return []
        if what == "close":
            connection.close()
            return []
        with connection.transaction(), connection.cursor() as cursor:
            if what == "query":
                return [str(value) for value in cursor.execute(argument).fetchone()]
            if what == "copy":
                cursor.execute("create temp table copied (n int)")
                with cursor.copy("copy copied from stdin") as copy:
                    for n in range(int(argument)):
                        copy.write_row((n,))
                return [str(cursor.execute("select count(*) from copied").fetchone()[0])]
            threading.Timer(0.3, connection.cancel).start()
            cursor.execute("select pg_sleep(60)")
            return []

    return act


def psycopg3_async_program():
    import psycopg

    loop = asyncio.new_event_loop()
    connection = None

    async def work(what, argument):
        nonlocal connection
        if what == "connect":
            connection = await psycopg.AsyncConnection.connect(argument)
            return []
        if what == "close":
            await connection.close()
            return []
        async with connection.transaction(), connection.cursor() as cursor:
            if what == "query":
                await cursor.execute(argument)
                return [str(value) for value in await cursor.fetchone()]
            if what == "copy":
                await cursor.execute("create temp table copied (n int)")
                async with cursor.copy("copy copied from stdin") as copy:
                    for n in range(int(argument)):
                        await copy.write_row((n,))
                await cursor.execute("select count(*) from copied")
                return [str((await cursor.fetchone())[0])]
            asyncio.get_running_loop().call_later(0.3, connection.cancel)
            await cursor.execute("select pg_sleep(60)")
            return []

    return lambda what, argument: loop.run_until_complete(work(what, argument))


PROGRAMS = {
    "psycopg2": psycopg2_program,
    "psycopg": psycopg3_program,
    "psycopg-async": psycopg3_async_program,
}
act = PROGRAMS[KIND]()
print("ready", flush=True)
for line in sys.stdin:
    what, _, argument = line.rstrip("\n").partition("\t")
    try:
        answer = ["ok", *act(what, argument)]
    except Exception as problem:  # every kind of error is an answer
        answer = error_of(problem)
    print("\t".join(answer), flush=True)
