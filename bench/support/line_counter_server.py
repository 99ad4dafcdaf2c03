"""A server that takes line protocol as InfluxDB does, counts the lines and keeps none."""

from __future__ import annotations

import contextlib
import multiprocessing
import socketserver
import zlib
from typing import Any, Self


class Counting(socketserver.StreamRequestHandler):
    """Counts the lines of every body and acknowledges it. HTTP only as far as the two clients speak it."""

    wbufsize = -1
    disable_nagle_algorithm = True

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            while self.rfile.readline(65536):
                headers = {}
                while (line := self.rfile.readline(65536)) not in (b"\r\n", b""):
                    name, _, value = line.partition(b":")
                    headers[name.lower()] = value.strip()
                body = self.body(headers)
                body = zlib.decompress(body, 31) if body[:2] == b"\x1f\x8b" else body
                lines = body.count(b"\n") + (not body.endswith(b"\n"))
                with self.server.counted.get_lock():  # type: ignore[attr-defined]
                    self.server.counted.value += lines  # type: ignore[attr-defined]
                self.wfile.write(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")
                self.wfile.flush()

    def body(self, headers: dict[bytes, bytes]) -> bytes:
        if b"content-length" in headers:
            return self.rfile.read(int(headers[b"content-length"]))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)


def serve(counted: Any, pipe: Any) -> None:
    socketserver.ThreadingTCPServer.daemon_threads = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Counting) as server:
        server.counted = counted  # type: ignore[attr-defined]
        pipe.send(server.server_address[1])
        server.serve_forever()


class Counter:
    """The counting server, in a process of its own."""

    def __enter__(self) -> Self:
        spawn = multiprocessing.get_context("spawn")
        self.counted = spawn.Value("q", 0)
        ours, theirs = spawn.Pipe()
        self.process = spawn.Process(target=serve, args=(self.counted, theirs), daemon=True)
        self.process.start()
        self.url = f"http://127.0.0.1:{ours.recv()}"
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.join()

    def lines(self) -> int:
        return int(self.counted.value)
