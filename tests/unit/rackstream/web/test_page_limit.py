"""Pages are built a few at a time, and a client that asks for what fails is held off alone."""

import asyncio

from rackstream.web.page_limit import MAX_CONCURRENT, MAX_FAILURES, MAX_WAITING, PageLimit


async def request(app, path="/ui/", address="10.0.0.1"):
    """The status of a response."""
    statuses = []

    async def send(message):
        statuses.append(message.get("status"))

    await app({"type": "http", "path": path, "client": (address, 1), "headers": []}, None, send)
    return statuses[0]


def page(status, running=None, release=None):
    async def app(scope, receive, send):
        if running is not None:
            running.append(len(running))
            await release.wait()
        await send({"type": "http.response.start", "status": status})

    return app


def test_few_pages_are_built_at_once_others_wait_and_the_rest_is_told_to_come_back():
    async def scenario():
        running, release = [], asyncio.Event()
        app = PageLimit(page(200, running, release))
        requests = [asyncio.create_task(request(app)) for _ in range(MAX_CONCURRENT + MAX_WAITING + 3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        at_once = len(running)
        release.set()
        return at_once, sorted(await asyncio.gather(*requests))

    at_once, statuses = asyncio.run(scenario())

    assert MAX_CONCURRENT == at_once
    assert 500 not in statuses
    assert statuses.count(200) >= MAX_WAITING
    assert statuses.count(503) >= 3


def test_a_client_whose_requests_fail_is_held_off_alone():
    async def scenario():
        app = PageLimit(page(404))
        first = [await request(app) for _ in range(MAX_FAILURES)]
        return first, await request(app), await request(app, address="10.0.0.2"), await request(app, "/ui/_nicegui/x")

    first, then, other, asset = asyncio.run(scenario())

    assert {404} == set(first)
    assert (429, 404, 404) == (then, other, asset)
