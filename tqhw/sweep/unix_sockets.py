"""Dask over sockets that are files: a cluster on this machine that no port leads to, and no other user.

Whoever reaches a Dask scheduler can have it run code. A port of this machine is open to all who work on it; a socket in
a folder of our own is not. Addresses are ``unix://`` and a path; one that ends in ``/`` is a folder, in which a
listener takes a name of its own.
"""

from __future__ import annotations

import socket
import uuid
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

from distributed import Scheduler, Worker
from distributed.comm.core import Comm, CommClosedError
from distributed.comm.registry import backends
from distributed.comm.tcp import MAX_BUFFER_SIZE, TCP, BaseTCPBackend, TCPConnector, TCPListener
from tornado.iostream import IOStream, StreamClosedError
from tornado.netutil import bind_unix_socket
from tornado.tcpserver import TCPServer

PREFIX = "unix://"
MODULE = __name__
_OURS_ALONE = 0o600


class UnixComm(TCP):
    """TCP's frames on such a socket, which has no timeouts of TCP to be set."""

    def __init__(self, stream: IOStream, local_address: str, peer_address: str, deserialize: bool = True) -> None:
        Comm.__init__(self, deserialize=deserialize)
        self.stream, self._local_addr, self._peer_addr = stream, local_address, peer_address
        self._closed = False
        self._extra: dict[str, Any] = {}
        self._finalizer = weakref.finalize(self, stream.close)
        self._finalizer.atexit = False  # the event loop is gone by then
        this = weakref.ref(self)
        stream.set_close_callback(lambda: _mark_closed(this()))


def _mark_closed(comm: UnixComm | None) -> None:
    if comm is not None:
        comm._closed = True


class UnixConnector(TCPConnector):
    """Connects to a path."""

    prefix, comm_class = PREFIX, UnixComm

    async def connect(self, address: str, deserialize: bool = True, **_: Any) -> TCP:
        stream = IOStream(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), max_buffer_size=MAX_BUFFER_SIZE)
        try:
            await stream.connect(address)
        except StreamClosedError as error:
            raise OSError(f"{PREFIX}{address}: {error.real_error}") from error
        return UnixComm(stream, f"{PREFIX}client", PREFIX + address, deserialize)


class UnixListener(TCPListener):
    """Listens at a path."""

    prefix, comm_class = PREFIX, UnixComm

    def __init__(self, address: str, comm_handler: Any, deserialize: bool = True, **kept: Any) -> None:
        super().__init__("127.0.0.1", comm_handler, deserialize, kept.get("allow_offload", True))
        place = address.removesuffix(":0")  # Dask adds the port that it is not given
        self.path = f"{place}{uuid.uuid4().hex[:12]}" if place.endswith("/") else place

    async def start(self) -> None:
        self.tcp_server = TCPServer(max_buffer_size=MAX_BUFFER_SIZE)
        self.tcp_server.handle_stream = self._accepted
        self.tcp_server.add_socket(bind_unix_socket(self.path, _OURS_ALONE))

    async def _accepted(self, stream: IOStream, _: Any) -> None:
        comm = UnixComm(stream, self.listen_address, f"{PREFIX}client", self.deserialize)
        comm.allow_offload = self.allow_offload
        with suppress(CommClosedError):  # it went before we had met
            await self.on_connection(comm)
            await self.comm_handler(comm)

    def stop(self) -> None:
        super().stop()
        Path(self.path).unlink(missing_ok=True)

    @property
    def listen_address(self) -> str:
        return PREFIX + self.path

    contact_address = listen_address


class UnixBackend(BaseTCPBackend):
    """What Dask asks about such addresses."""

    _connector_class = UnixConnector
    _listener_class = UnixListener

    def get_address_host(self, loc: str) -> str:
        return loc

    def get_address_host_port(self, loc: str) -> tuple[str, int]:
        return loc, 0

    def resolve_address(self, loc: str) -> str:
        return loc

    def get_local_address_for(self, loc: str) -> str:
        return f"{loc.rpartition('/')[0]}/"


backends[PREFIX.removesuffix("://")] = UnixBackend()


class LocalScheduler(Scheduler):
    """Has no page on a port."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        pass


class LocalWorker(Worker):
    """Has no page on a port."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        pass
