"""The metrics of the service in the text format of Prometheus."""

from collections.abc import Callable
from typing import Any

from ..optional import require

BUCKETS = (0.25, 0.5, 1, 2, 5, 10, 20, 40, 60, 120, 300, 600)
"""Upper bounds of the histogram of generation times, in seconds."""


class ServiceMetrics:
    """Counters of one service, in a registry of their own.

    Args:
        running: returns the number of songs that are being generated.
        waiting: returns the number of waiting requests.
        stored: returns the number of kept songs.
    """

    def __init__(
        self,
        *,
        running: Callable[[], float],
        waiting: Callable[[], float],
        stored: Callable[[], float],
    ):
        client = require("prometheus_client", "serve")
        self._client = client
        self._registry = client.CollectorRegistry()
        shared: dict[str, Any] = {"registry": self._registry}
        self.requests = client.Counter(
            "songgen_requests",
            "Requests by endpoint and HTTP status; 499 is a client that left.",
            ["endpoint", "status"],
            **shared,
        )
        self.audio_seconds = client.Counter(
            "songgen_audio_seconds", "Seconds of generated songs.", **shared
        )
        self.generation_seconds = client.Histogram(
            "songgen_generation_seconds",
            "Time from a request to its song, waiting included.",
            buckets=BUCKETS,
            **shared,
        )
        gauges = {
            "songgen_running": ("Songs that are being generated.", running),
            "songgen_queue_length": ("Requests that wait for a place.", waiting),
            "songgen_stored_songs": ("Songs that can be fetched.", stored),
        }
        for name, (text, value) in gauges.items():
            client.Gauge(name, text, **shared).set_function(value)

    def count(self, endpoint: str, status: int) -> None:
        """Count a finished request."""
        self.requests.labels(endpoint, str(status)).inc()

    def text(self) -> tuple[bytes, str]:
        """The metrics, and their content type."""
        return self._client.generate_latest(self._registry), self._client.CONTENT_TYPE_LATEST


__all__ = ["BUCKETS", "ServiceMetrics"]
