"""Passes bytes on between plain TCP and TLS by OpenSSL, through Python's module ssl.

    openssl.py server|client CERTIFICATE KEY AUTHORITY

A line of input names a port on 127.0.0.1, and a line of output tells the port that leads to it. A `server`
has TLS towards whoever connects there, a `client` towards the port that was named. Every second port has
TLS 1.2. FIN becomes close_notify and FIN, and close_notify becomes FIN. RST, and an end without
close_notify, become RST. It ends with its input.
"""

import select
import socket
import ssl
import struct
import sys

role, certificate, key, authority = sys.argv[1:]
# How much may wait for a side that does not read, here and in each buffer of the kernel.
MOST = 65536
EDGE = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
poll = select.epoll()
handlers = {}


def context(version):
    if role == "server":
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(certificate, key)
        # A ticket that comes after a client's close() makes its kernel send RST (docs/tls.md).
        made.num_tickets = 0
    else:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.load_verify_locations(authority)
    made.minimum_version = made.maximum_version = version
    return made


contexts = [context(ssl.TLSVersion.TLSv1_3), context(ssl.TLSVersion.TLSv1_2)]


class Plain:
    """One side of a connection. `ended`: its peer has finished. `finished`: we have."""

    def __init__(self, sock):
        self.sock = sock
        self.out = bytearray()
        self.ended = self.finishing = self.finished = False
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, buffer, MOST)

    def receive(self):
        """Bytes, b"" at the end, None when there is nothing."""
        try:
            return self.sock.recv(MOST)
        except BlockingIOError:
            return None

    def read(self):
        return self.receive()

    def write(self, data):
        self.out += data

    def finish(self):
        self.finishing = True

    def flush(self):
        """Whether there is more room than before."""
        before = len(self.out)
        try:
            while self.out:
                del self.out[: self.sock.send(self.out)]
        except BlockingIOError:
            return len(self.out) < before
        if self.finishing and not self.finished:
            self.finished = True
            self.sock.shutdown(socket.SHUT_WR)
        return before > 0

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Tls(Plain):
    def __init__(self, sock, made):
        super().__init__(sock)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = role == "server"
        name = None if server else "localhost"
        self.tls = made.wrap_bio(self.incoming, self.outgoing, server, name)
        self.ready = False

    def step(self, operation, *args):
        """Calls OpenSSL until it has done that. None when it needs bytes that have not come."""
        while True:
            try:
                return operation(*args)
            except ssl.SSLWantReadError:
                data = self.receive()
                if data is None:
                    return None
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()
            finally:
                self.out += self.outgoing.read()

    def read(self):
        try:
            if not self.ready:
                self.ready = self.step(lambda: self.tls.do_handshake() or True) is True
                if not self.ready:
                    return None
            return self.step(self.tls.read, MOST)
        except ssl.SSLZeroReturnError:
            return b""

    def write(self, data):
        self.tls.write(data)
        self.out += self.outgoing.read()

    def finish(self):
        self.finishing = True
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass  # The peer's close_notify has not come.
        self.out += self.outgoing.read()


class Connection:
    def __init__(self, plain, secure):
        self.plain, self.secure = plain, secure
        for side in (plain, secure):
            handlers[side.sock.fileno()] = self
            poll.register(side.sock, EDGE)
        self.handle(0)

    def handle(self, event):
        try:
            self.pump()
            if event & select.EPOLLERR:
                raise ConnectionResetError
        except OSError:  # Also every error of TLS.
            for side in (self.plain, self.secure):
                side.reset()
            self.close()

    def pump(self):
        moved = True
        while moved:
            moved = self.move(self.plain, self.secure) | self.move(self.secure, self.plain)
            # What has come and waits inside of TLS has to be read before `unwrap`, which would drop it.
            waits = self.secure.incoming.pending > 0 and not self.secure.ended
            if self.plain.ended and not self.secure.finishing and not waits:
                self.secure.finish()
                moved = True
            # No event tells of room that is there already.
            for side in (self.plain, self.secure):
                moved |= side.flush()
        if all(side.ended and side.finished for side in (self.plain, self.secure)):
            self.close()

    def move(self, source, target):
        rest = source is self.secure and self.plain.ended and source.incoming.pending > 0
        full = len(target.out) >= MOST and not rest
        # The handshake comes first.
        if source.ended or full or source is self.plain and not self.secure.ready:
            return False
        ready = self.secure.ready
        data = source.read()
        if data is None:
            return ready != self.secure.ready
        if data:
            target.write(data)
        else:
            source.ended = True
            if target is self.plain:
                target.finish()
        return True

    def close(self):
        for side in (self.plain, self.secure):
            if handlers.pop(side.sock.fileno(), None):
                poll.unregister(side.sock)
                side.sock.close()


class Listener:
    def __init__(self, target, made):
        self.target, self.made = target, made
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.sock.setblocking(False)
        handlers[self.sock.fileno()] = self
        poll.register(self.sock, select.EPOLLIN)

    def handle(self, _event):
        try:
            front, _ = self.sock.accept()
        except BlockingIOError:  # The event was for a socket that had the descriptor before.
            return
        try:
            back = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            return front.close()
        if role == "server":
            Connection(Plain(back), Tls(front, self.made))
        else:
            Connection(Plain(front), Tls(back, self.made))


poll.register(sys.stdin, select.EPOLLIN)
opened = 0
while True:
    for fd, event in poll.poll():
        if fd in handlers:
            handlers[fd].handle(event)
        elif fd == sys.stdin.fileno():
            line = sys.stdin.readline()
            if not line:
                sys.exit()
            listener = Listener(int(line), contexts[opened % 2])
            opened += 1
            print(listener.sock.getsockname()[1], flush=True)
