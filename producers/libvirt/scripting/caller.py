"""Asks one libvirt connection, for several threads, with a deadline, and says once what it could not find out. I/O.

Threads wait for each other, for libvirt 9's client stalls when one connection is used by several. A domain that hangs
costs the deadline once; until it answers, it is not asked again, and the others are asked over a new connection.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable
from typing import Any, Final

from producers.libvirt.connection import (
    NO_DOMAIN,
    OPERATION_INVALID,
    Connection,
    cause,
    code_of,
    is_transport,
    library,
)
from producers.libvirt.scripting.call_timeout import Deadline, Late
from producers.libvirt.scripting.warnings import Causes, Whose

By = Callable[[Any, type[Exception]], Any]
"""Told the virDomain and what libvirtError is, makes one call, or several that are one to the caller."""
NODE: Final = ""
"""Who is asked when it is no single domain."""


def whose(dom: Any, *arguments: Any) -> Whose:
    """Whose figures a call is about."""
    return (dom.UUIDString(), *(argument for argument in arguments if isinstance(argument, str)))


class Gone(Exception):
    """The domain is not active any more."""


class Asker:
    """Opens the connection at need, and anew after it was lost. `lock` makes several questions one."""

    def __init__(self, uri: str, timeout_s: float) -> None:
        self._uri = uri
        self._deadline = Deadline(timeout_s)
        self.lock = threading.RLock()
        self._current: Connection | None = None
        self._left: weakref.WeakSet[Any] = weakref.WeakSet()
        """Connections that were given up: their domains are looked up anew."""
        self.causes = Causes()

    @property
    def timeout_s(self) -> float:
        """Seconds that one call may take."""
        return self._deadline.timeout_s

    @property
    def is_open(self) -> bool:
        """Whether the connection is open, as far as the client library knows."""
        with self.lock:
            handle = None if self._current is None else self._current.handle
            return handle is not None and handle.isAlive() == 1

    def close(self) -> None:
        """Closes the connection; the next question opens another."""
        with self.lock:
            connection = self._give_up()
            if connection is not None:
                with contextlib.suppress(Late):
                    self._deadline.call(NODE, connection.close)

    def known(self, dom: Any, method: str, *arguments: Any, by: By | None = None) -> Any:
        """The answer of one call; None if there is none, which is said. `by`: makes the call, if not the domain."""
        try:
            return self.ask(dom, method, *arguments, by=by)
        except Gone as gone:
            self.causes.begin(method, str(gone), whose(dom, *arguments), dom.name())
            return None

    def ask(self, dom: Any, method: str, *arguments: Any, by: By | None = None) -> Any:
        """One call on a domain; None if it failed, which is said.

        Raises:
            Gone: the domain is not active any more.
        """
        with self.lock:
            connection = self._connection()

            def call() -> Any:
                domain = self._renewed(dom, connection)
                return by(domain, connection.error_type) if by else getattr(domain, method)(*arguments)

            try:
                answer = self._deadline.call(dom.UUIDString(), call)
                self.causes.end(method, whose(dom, *arguments))
                return answer
            except Late as late:
                if late.fresh:
                    self._give_up()  # whoever uses a connection that a call hangs on, hangs too
                why = str(late)
            except connection.error_type as error:
                lost, why = is_transport(error), cause(error)
                if not lost and code_of(error) in (NO_DOMAIN, OPERATION_INVALID):
                    raise Gone(why) from None
                if lost:
                    self._give_up()
            self.causes.begin(method, why, whose(dom, *arguments), dom.name())
            return None

    def on_node(self, function: Callable[[Any], Any]) -> Any:
        """One call on the connection, which is opened at need.

        Raises:
            ConnectionError: there is none to be had, or it was lost.
            TimeoutError: no answer in time.
        """
        with self.lock:
            connection = self._connection()
            try:
                return self._deadline.call(NODE, lambda: function(connection.open()))
            except Late as late:
                if late.fresh:
                    self._give_up()
                raise TimeoutError(f"libvirt {connection.address}: {late}") from None
            except connection.error_type as error:
                self._give_up()
                # The original message may name user and password.
                raise ConnectionError(str(connection.failure(error))) from None

    def _connection(self) -> Connection:
        """The connection now in use; not opened by this."""
        if self._current is None:
            self._current = Connection(self._uri, library())
        return self._current

    def _give_up(self) -> Connection | None:
        """Stops using the connection. It closes with the last domain that belongs to it."""
        connection, self._current = self._current, None
        if connection is not None and connection.handle is not None:
            self._left.add(connection.handle)
        return connection

    def _renewed(self, dom: Any, connection: Connection) -> Any:
        """The domain itself, or, where its connection was given up, the same domain on the one in use."""
        return connection.open().lookupByUUIDString(dom.UUIDString()) if dom.connect() in self._left else dom
