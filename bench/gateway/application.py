"""A stock psycopg 2 application: asks without end who its server is, and says so when that changes."""
import sys
import time

import psycopg2

FIRST = 50
count, last, longest, first_name = 0, None, 0.0, None
while True:
    try:
        connection = psycopg2.connect(sys.argv[1])
        connection.autocommit = True
        cursor = connection.cursor()
        while True:
            cursor.execute("select current_setting('cluster_name')")
            (name,) = cursor.fetchone()
            now = time.monotonic()
            if last is not None:
                longest = max(longest, now - last)
            last = now
            count += 1
            if count == FIRST:
                first_name, longest = name, 0.0
                print("running", flush=True)
            elif count > FIRST and name != first_name:
                print(f"moved {longest * 1000:.1f}", flush=True)
                sys.exit(0)
            time.sleep(0.002)
    except psycopg2.Error:
        time.sleep(0.002)
