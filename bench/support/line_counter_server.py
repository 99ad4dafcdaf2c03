"""HTTP server that accepts line protocol as InfluxDB does and only counts the lines."""

from __future__ import annotations

import contextlib
import multiprocessing
import socketserver
import zlib
from typing import Any, Self


class LineCounterHandler(socketserver.StreamRequestHandler):
    """Counts and acknowledges the lines of each request. Supports only as much HTTP as the two clients use."""

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
                with self.server.line_count.get_lock():  # type: ignore[attr-defined]
                    self.server.line_count.value += lines  # type: ignore[attr-defined]
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


def serve(line_count: Any, pipe: Any) -> None:
    socketserver.ThreadingTCPServer.daemon_threads = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), LineCounterHandler) as server:
        server.line_count = line_count  # type: ignore[attr-defined]
        pipe.send(server.server_address[1])
        server.serve_forever()


class LineCounterServer:
    """Runs the server in its own process."""

    def __enter__(self) -> Self:
        spawn = multiprocessing.get_context("spawn")
        self.line_count = spawn.Value("q", 0)
        parent_end, child_end = spawn.Pipe()
        self.process = spawn.Process(target=serve, args=(self.line_count, child_end), daemon=True)
        self.process.start()
        self.url = f"http://127.0.0.1:{parent_end.recv()}"
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.join()

    def count_lines(self) -> int:
        return int(self.line_count.value)
