"""The frame of every adapter in Python: requests on standard input, answers on standard output (see ../README.md).

A driver is an object with one method for each verb it has; `cancel` is called while another method runs.
"""

import json
import queue
import sys
import threading

_output = threading.Lock()


def _say(answer):
    with _output:
        print(json.dumps(answer), flush=True)


def rows(count):
    """What copy-in sends: the numbers 1 to `count`, one a line."""
    return "".join(f"{number}\n" for number in range(1, int(count) + 1))


def serve(driver, version, sqlstate, text=str):
    """Serves until standard input ends; `sqlstate` gives that of an exception, or None, and `text` what it says."""

    def perform(number, verb, rest):
        method = getattr(driver, verb.replace("-", "_"), None)
        if method is None:
            _say({"id": number, "error": f"there is no {verb}", "unknown": True})
            return
        try:
            value = method(rest)
            _say({"id": number, "value": "" if value is None else str(value)})
        except Exception as error:  # Whatever a driver throws is what the test wants to see.
            _say(
                {
                    "id": number,
                    "error": text(error).strip(),
                    "sqlstate": sqlstate(error),
                    "kind": type(error).__name__,
                }
            )

    requests = queue.Queue()

    def work():
        while True:
            request = requests.get()
            if request is None:
                return
            perform(*request)

    threading.Thread(target=work, daemon=True).start()
    _say({"version": version})
    for line in sys.stdin:
        number, verb, rest = (line.rstrip("\n").split(" ", 2) + [""])[:3]
        request = (int(number), verb, rest)
        if verb == "cancel":
            perform(*request)
        else:
            requests.put(request)
