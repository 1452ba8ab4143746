"""Holds many served connections and says when the first and the last of them ended, in ns of CLOCK_MONOTONIC."""
import resource
import select
import socket
import sys
import time

port, count, packet = int(sys.argv[1]), int(sys.argv[2]), bytes.fromhex(sys.argv[3])
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
connections = []
while len(connections) < count:
    batch = [socket.create_connection(("127.0.0.1", port)) for _ in range(min(100, count - len(connections)))]
    for one in batch:
        one.sendall(packet)
    for one in batch:
        if not one.recv(4096):
            sys.exit("the server has closed a connection")
    connections += batch
poll = select.epoll()
for one in connections:
    poll.register(one, select.EPOLLONESHOT | select.EPOLLRDHUP)
print("served", flush=True)
first, ended = 0, 0
while ended < count:
    ended += len(poll.poll(maxevents=count))
    first = first or time.monotonic_ns()
print(f"ended {first} {time.monotonic_ns()}", flush=True)
