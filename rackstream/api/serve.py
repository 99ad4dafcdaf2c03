"""Runs the console: the application on its socket, with a view fed from Kafka."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import uvicorn

from rackstream.api.app import create_app
from rackstream.api.http_protocol import TimedProtocol
from rackstream.api.settings import ConsoleSettings, read_token
from rackstream.control import CollectorControl, FleetControl
from rackstream.topics.schema_lookup import Connect
from rackstream.view.kafka_feed import KafkaFeed
from rackstream.web.logins import LoginSessions
from rackstream.web.mount import mount
from rackstream.web.session import WebContext
from runtime import observability
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings
from sinks.settings import files_root

MAX_CONNECTIONS: Final = 900
"""Connections at once; further ones get 503. Below the usual limit of 1024 open files."""


def serve(settings: KafkaSettings, connect: Connect, port: int | None) -> None:
    """Serves until a signal arrives.

    Args:
        settings: Topic names and data directory.
        connect: Returns settings with Kafka's address; Kafka need not run yet.
        port: Port to listen on; default: from the environment.

    Raises:
        Misconfigured: The port is taken, or the address is not one of this machine.
    """
    console = ConsoleSettings.read(**({} if port is None else {"port": port}))
    feed = KafkaFeed(settings, connect, look_back=timedelta(seconds=console.back_s))
    servers: list[uvicorn.Server] = []
    token = read_token(console, settings.data_dir)
    app = create_app(
        settings,
        connect,
        CollectorControl(),
        token,
        feed.view,
        allowed_hosts=[name.strip() for name in console.names.split(",") if name.strip()],
        is_stopping=lambda: any(server.should_exit for server in servers),
    )
    mount(app, WebContext(feed.view, FleetControl(connect), connect, files_root(settings), LoginSessions(token)))
    config = uvicorn.Config(
        app,
        host=console.host,
        port=console.port,
        log_config=None,  # through our handler, which cleans: a path may hold escape sequences
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
        http=TimedProtocol,
        limit_concurrency=MAX_CONNECTIONS,
    )
    try:
        listener = config.bind_socket()
    except SystemExit:
        raise Misconfigured(
            f"cannot listen on {console.host}, port {console.port}: it is taken; set RACKSTREAM_CONSOLE_PORT to another"
            " (or the address is not one of this machine: see RACKSTREAM_CONSOLE_HOST)"
        ) from None
    listener.listen()  # before READY=1, so that a client may connect at once
    with feed:
        observability.notify("READY=1")
        servers.append(uvicorn.Server(config))
        servers[0].run(sockets=[listener])
