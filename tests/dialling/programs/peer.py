"""The peer: a program of its own, which knows nothing of the library. It tells each client what it saw of
it: both addresses, and the headers of its SYN. Port 7001 tells it at once, 7080 by HTTP, 7443 by HTTPS."""

import json
import socket
import ssl
import sys
import threading

TCP_SAVE_SYN = 27
TCP_SAVED_SYN = 28


def seen(connection):
    source, destination = connection.getpeername(), connection.getsockname()
    return json.dumps({
        "from": source[0].replace("::ffff:", ""),
        "port": source[1],
        "to": destination[0].replace("::ffff:", ""),
        "syn": connection.getsockopt(socket.IPPROTO_TCP, TCP_SAVED_SYN, 256).hex(),
    })


def plain(connection):
    connection.sendall(f"{seen(connection)}\n".encode())
    while connection.recv(4096):
        pass


def http(connection, text=None):
    text = text or seen(connection)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\n\r\n"
    while connection.recv(65536):
        connection.sendall((head + text).encode())


def https(connection):
    text = seen(connection)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1])
    http(context.wrap_socket(connection, server_side=True), text)


def answer(behave, connection):
    try:
        behave(connection)
    except OSError:
        pass
    finally:
        connection.close()


def serve(port, behave):
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    listener.setsockopt(socket.IPPROTO_TCP, TCP_SAVE_SYN, 1)

    def loop():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=answer, args=(behave, connection), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()


serve(7001, plain)
serve(7080, http)
serve(7443, https)
print("ready", flush=True)
sys.stdin.read()
