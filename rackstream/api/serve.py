"""Listens: the application on its socket, with a view that is fed meanwhile."""

from __future__ import annotations

from datetime import timedelta

import uvicorn

from rackstream.api.app import app
from rackstream.api.settings import ConsoleSettings, token
from rackstream.control import Commands, Control
from rackstream.topics.schema_lookup import Connect
from rackstream.view.kafka_feed import Feed
from rackstream.web.logins import Logins
from rackstream.web.mount import mount
from rackstream.web.session import Console
from runtime import observability
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings
from sinks.settings import files_root


def serve(settings: KafkaSettings, connect: Connect, port: int | None) -> None:
    """Serves until a signal. Kafka need not be there yet: `connect` is asked when it is needed.

    Raises:
        Misconfigured: the port is taken, or the address is none of this machine's.
    """
    console = ConsoleSettings.read(**({} if port is None else {"port": port}))
    host, chosen = console.host, console.port
    feed = Feed(settings, connect, back=timedelta(seconds=console.back_s))
    servers: list[uvicorn.Server] = []
    expected = token(console, settings.data_dir)
    served = app(
        settings,
        connect,
        Control(),
        expected,
        feed.view,
        names=[each.strip() for each in console.names.split(",") if each.strip()],
        stopping=lambda: any(server.should_exit for server in servers),
    )
    mount(served, Console(feed.view, Commands(connect), connect, files_root(settings), Logins(expected)))
    config = uvicorn.Config(
        served,
        host=host,
        port=chosen,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    try:
        listener = config.bind_socket()
    except SystemExit:
        raise Misconfigured(
            f"cannot listen on {host}, port {chosen}: it is taken; set RACKSTREAM_CONSOLE_PORT to another"
            " (or the address is none of this machine's: see RACKSTREAM_CONSOLE_HOST)"
        ) from None
    listener.listen()  # whoever is told that we are ready may ask at once
    with feed:
        observability.notify("READY=1")
        servers.append(uvicorn.Server(config))
        servers[0].run(sockets=[listener])
