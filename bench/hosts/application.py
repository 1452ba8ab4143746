"""A stock psycopg 2 application: waits for a server that falls silent, writes until it can write again, or connects."""
import sys
import time

import psycopg2


def wait(connection_string):
    connection = psycopg2.connect(connection_string)
    print("waiting", flush=True)
    try:
        connection.cursor().execute("select pg_sleep(600)")
    except psycopg2.Error:
        print("told", flush=True)


def write(connection_string):
    count, failed = 0, False
    while True:
        try:
            connection = psycopg2.connect(connection_string)
            connection.autocommit = True
            cursor = connection.cursor()
            while True:
                cursor.execute("insert into written default values")
                count += 1
                if failed:
                    print("wrote", flush=True)
                    return
                if count == 10:
                    print("writing", flush=True)
                time.sleep(0.01)
        except psycopg2.Error:
            failed = failed or count >= 10
            time.sleep(0.01)


def connect(connection_string):
    begun = time.monotonic()
    psycopg2.connect(connection_string).close()
    print(f"connected {(time.monotonic() - begun) * 1000:.2f}", flush=True)


{"wait": wait, "write": write, "connect": connect}[sys.argv[1]](sys.argv[2])
