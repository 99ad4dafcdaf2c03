"""Log records as events: every logger of the process, from level WARNING."""

import logging

from producers.app import TelemetryCollector, TelemetryHandler

collector = TelemetryCollector()


def set_up() -> TelemetryHandler:
    """Has warnings and errors of every logger collected."""
    handler = TelemetryHandler(collector, logging.WARNING)
    logging.getLogger().addHandler(handler)
    return handler


def charge(order: int, balances: dict[str, int]) -> None:
    """Fails without a purse, and says so to its logger, which knows nothing of telemetry."""
    try:
        balances["purse"] -= 1
    except KeyError:
        logging.getLogger("shop.billing").exception("order %d not charged", order, extra={"order": order})
