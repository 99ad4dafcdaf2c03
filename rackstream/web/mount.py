"""Mounts the page on the console's application, under its own path. All NiceGUI configuration is here."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse
from nicegui import app, ui

from rackstream.web import alerts, cells, host, overview, pipeline, vm
from rackstream.web.csrf import OriginGuard
from rackstream.web.layout import PageFrame
from rackstream.web.page_limit import PageLimit
from rackstream.web.session import WebContext

ICON: Final = (Path(__file__).parent / "icon.svg").read_text()
COOKIE: Final = "rackstream_page"
FLEET_PARAMETERS: Final = ("q", "health", "status")
"""Query parameters of the fleet view's address."""


def mount(api: FastAPI, context: WebContext) -> None:
    """Serves the page at `/ui` and redirects there from `/`. Works once per process, as NiceGUI has one application."""

    async def build_frame(current: str) -> PageFrame:
        frame = PageFrame(context)
        frame.build(current)
        await frame.refresh_every(2.0, frame.refresh)
        return frame

    @ui.page("/", title="Fleet · Rackstream")
    async def _fleet(request: Request) -> None:
        parameters = {name: request.query_params.get(name, "") for name in FLEET_PARAMETERS}
        await overview.build(await build_frame(""), parameters)

    @ui.page("/hosts/{name}", title="Host · Rackstream")
    async def _host(name: str) -> None:
        ui.page_title(f"{name} · Rackstream")
        await host.build(await build_frame(""), name)

    @ui.page("/hosts/{name}/vms/{uuid}", title="VM · Rackstream")
    async def _vm(name: str, uuid: str) -> None:
        await vm.build(await build_frame(""), name, uuid)

    @ui.page("/alerts", title="Alerts · Rackstream")
    async def _alerts() -> None:
        await alerts.build(await build_frame("alerts"))

    @ui.page("/pipeline", title="Pipeline · Rackstream")
    async def _pipeline() -> None:
        await pipeline.build(await build_frame("pipeline"))

    @api.get("/", include_in_schema=False)
    def _root() -> RedirectResponse:
        return RedirectResponse(f"{cells.BASE}/")

    api.add_middleware(PageLimit)
    api.add_middleware(OriginGuard)
    # The page stores nothing on disk. Should NiceGUI do so, it must not be in the current directory.
    app.storage.path = context.files.parent / "page"
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
        # The secret is new in each process: a restart logs everybody out.
        storage_secret=secrets.token_urlsafe(32),
        session_middleware_kwargs={
            "session_cookie": COOKIE,
            "same_site": "strict",
            "path": cells.BASE,
            "max_age": None,
        },
        show_welcome_message=False,
    )
