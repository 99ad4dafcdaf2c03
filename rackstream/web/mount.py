"""Puts the page on the console's application, under its own path. The one module that knows how NiceGUI is run."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse
from nicegui import app, ui

from rackstream.web import alerts, cells, host, overview, pipeline, vm
from rackstream.web.csrf import Guard
from rackstream.web.layout import Frame
from rackstream.web.session import Console

ICON: Final = (Path(__file__).parent / "icon.svg").read_text()
COOKIE: Final = "rackstream_page"
ASKED: Final = ("q", "health", "status")
"""What the address of the fleet's view may ask for."""


def mount(api: FastAPI, console: Console) -> None:
    """Serves the page at `/ui` and leads there from `/`. Once in a process, for NiceGUI has one application in each."""

    async def build(frame: Frame, current: str) -> Frame:
        frame.build(current)
        await frame.every(2.0, frame.refresh)
        return frame

    @ui.page("/", title="Fleet · Rackstream")
    async def _fleet(request: Request) -> None:
        asked = {name: request.query_params.get(name, "") for name in ASKED}
        await overview.build(await build(Frame(console), ""), asked)

    @ui.page("/hosts/{name}", title="Host · Rackstream")
    async def _host(name: str) -> None:
        ui.page_title(f"{name} · Rackstream")
        await host.build(await build(Frame(console), ""), name)

    @ui.page("/hosts/{name}/vms/{uuid}", title="VM · Rackstream")
    async def _vm(name: str, uuid: str) -> None:
        await vm.build(await build(Frame(console), ""), name, uuid)

    @ui.page("/alerts", title="Alerts · Rackstream")
    async def _alerts() -> None:
        await alerts.build(await build(Frame(console), "alerts"))

    @ui.page("/pipeline", title="Pipeline · Rackstream")
    async def _pipeline() -> None:
        await pipeline.build(await build(Frame(console), "pipeline"))

    @api.get("/", include_in_schema=False)
    def _root() -> RedirectResponse:
        return RedirectResponse(f"{cells.BASE}/")

    api.add_middleware(Guard)
    # Nothing is kept on disk; were a part of NiceGUI to, it would not be in whatever folder we were started in.
    app.storage.path = console.files.parent / "page"
    ui.run_with(
        api,
        mount_path=cells.BASE,
        title="Rackstream",
        favicon=ICON,
        dark=None,
        language="en-GB",
        tailwind=False,
        binding_refresh_interval=None,
        reconnect_timeout=8.0,
        # Signed by a secret of this process: a restart logs everybody out.
        storage_secret=secrets.token_urlsafe(32),
        session_middleware_kwargs={
            "session_cookie": COOKIE,
            "same_site": "strict",
            "path": cells.BASE,
            "max_age": None,
        },
        show_welcome_message=False,
    )
