"""The peer: a program of its own, which knows nothing of the library. What a connection gets depends
on the port; commands come over port 7000, one a line: `reset HOST`, `read HOST`, `finish HOST`,
`dial HOST PORT`."""

import select
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

connections = {}  # by the other side's address
alive = []
counts = {}


def serve(port, behave, window=None):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if window:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    listener.bind(("0.0.0.0", port))
    listener.listen(16)

    def loop():
        while True:
            connection, (host, _) = listener.accept()
            connections[host] = connection
            alive.append(connection)
            threading.Thread(target=behave, args=(connection, host), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()


def hold(connection, host):
    pass


def count(connection, host):
    try:
        while data := connection.recv(65536):
            counts[host] = counts.get(host, 0) + len(data)
        counts[host] = str(counts.get(host, 0)) + " end"
    except OSError as error:
        counts[host] = str(counts.get(host, 0)) + " " + str(error)


def echo(connection, host):
    try:
        while data := connection.recv(65536):
            connection.sendall(data)
    except OSError:
        pass


def slow(connection, host):
    """Empties its buffer every three seconds."""
    try:
        while True:
            time.sleep(3)
            while select.select([connection], [], [], 0)[0]:
                if not connection.recv(4096):
                    return
    except OSError:
        pass


def finish(connection, host):
    connection.shutdown(socket.SHUT_WR)


def greet(connection, host):
    connection.sendall(bytes(1000))


def vanish(connection, host):
    """At once, while the acknowledgement of the handshake's last bytes is still delayed."""
    subprocess.run(["ip", "route", "add", "blackhole", f"{host}/32"], check=True)


def secured(behave, tickets=2):
    """TLS first, with the certificate and key in the file that was named."""

    def serve_tls(connection, host):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1])
        context.num_tickets = tickets
        if tickets == 0:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        secure = context.wrap_socket(connection, server_side=True)
        connections[host] = secure
        alive.append(secure)
        behave(secure, host)

    return serve_tls


def control(connection, _):
    for line in connection.makefile():
        command, host, *rest = line.split()
        if command == "dial":
            connections[host] = socket.create_connection((host, int(rest[0])))
        elif command == "reset":
            # A reboot: the state is gone, and the RST of this side does not get through.
            linger = struct.pack("ii", 1, 0)
            connections[host].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connections[host].close()
        elif command == "finish":
            connections[host].shutdown(socket.SHUT_WR)
        elif command == "read":
            threading.Thread(target=count, args=(connections[host], host), daemon=True).start()
        connection.sendall(f"{counts.get(host, 0)}\n".encode())


serve(7001, hold)
serve(7002, count)
serve(7003, hold, 4096)
serve(7004, slow, 4096)
serve(7005, echo)
serve(7006, finish)
serve(7007, greet)
serve(7011, secured(hold))
serve(7013, secured(hold), 4096)
serve(7014, secured(slow), 4096)
serve(7015, secured(vanish, 0))
serve(7000, control)
print("ready", flush=True)
sys.stdin.read()
