"""What operators watch: numbers of the service in Prometheus' text format.

Knows counts, times and the backend's own status; nothing of clients, volumes or words.  The only
labels are how a question ended (a closed set: finish reasons and error codes) and the backend's
state.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from typing import cast, get_args

import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from med2e3.asking import Done, Event, Token
from med2e3.engine.backend import Backend, Job, State, Status
from med2e3.errors import Med2E3Error

METRICS = "/metrics"
METRICS_MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4
#: how a question ended whose client was gone
ABANDONED = "abandoned"

_FIRST_TOKEN_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_ANSWER_S = (0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class MeteredBackend:
    """A backend that counts what another one does (see :mod:`med2e3.engine.backend`).

    Args:
        backend: does everything.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._registry = CollectorRegistry(auto_describe=False)
        self._questions = Counter(
            "med2e3_questions",
            "Questions that ended, by finish reason, error code, or abandoned.",
            ["outcome"],
            registry=self._registry,
        )
        self._tokens = Counter(
            "med2e3_tokens", "Tokens that were generated.", registry=self._registry
        )
        self._first_token = Histogram(
            "med2e3_first_token_seconds",
            "From a question's acceptance to its first token, waiting included.",
            buckets=_FIRST_TOKEN_S,
            registry=self._registry,
        )
        self._whole = Histogram(
            "med2e3_answer_seconds",
            "From a question's acceptance to the end of its answer, waiting included.",
            buckets=_ANSWER_S,
            registry=self._registry,
        )
        self._registry.register(_StatusCollector(backend))

    def text(self) -> bytes:
        """All numbers, in Prometheus' text format."""
        return generate_latest(self._registry)

    async def start(self) -> None:
        """Begin to work."""
        await self._backend.start()

    async def close(self) -> None:
        """End everything."""
        await self._backend.close()

    def status(self) -> Status:
        """The present state."""
        return self._backend.status()

    def check(self, model: str) -> None:
        """Whether there is a model of this name or folder."""
        self._backend.check(model)

    async def load(self, model: str) -> None:
        """Load a model."""
        await self._backend.load(model)

    async def unload(self) -> None:
        """Free the model's memory."""
        await self._backend.unload()

    async def put_volume(self, sha256: str, voxels: npt.NDArray[np.float32]) -> None:
        """Keep a model input, (slices, rows, columns)."""
        await self._backend.put_volume(sha256, voxels)

    async def drop_volume(self, sha256: str) -> None:
        """Forget a volume."""
        await self._backend.drop_volume(sha256)

    def cancel(self, job: str) -> None:
        """Stop a job."""
        self._backend.cancel(job)

    async def ask(self, job: Job) -> AsyncIterator[Event]:
        """Answer a question, and count how it went."""
        begun = time.monotonic()
        outcome, first = ABANDONED, True
        try:
            async with aclosing(
                cast("AsyncGenerator[Event, None]", self._backend.ask(job))
            ) as all_:
                async for event in all_:
                    if isinstance(event, Token):
                        self._tokens.inc()
                        if first:
                            self._first_token.observe(time.monotonic() - begun)
                            first = False
                    elif isinstance(event, Done):
                        outcome = event.finish_reason
                    yield event
        except Med2E3Error as error:
            outcome = error.code
            raise
        except Exception:
            outcome = "unexpected"
            raise
        finally:
            self._questions.labels(outcome).inc()
            if outcome != ABANDONED:
                self._whole.observe(time.monotonic() - begun)


class _StatusCollector:
    """The backend's status as gauges, read when somebody asks."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def collect(self) -> Iterator[Metric]:
        """The present numbers."""
        status = self._backend.status()
        state = GaugeMetricFamily("med2e3_state", "1 for the present state.", labels=["state"])
        for name in get_args(State):
            state.add_metric([name], float(name == status.state))
        yield state
        for name, text, value in (
            ("med2e3_questions_waiting", "Questions that wait.", status.waiting),
            ("med2e3_questions_running", "Questions being answered.", status.running),
            ("med2e3_volumes", "Volumes held.", status.volumes),
            ("med2e3_memory_total_bytes", "Device memory; 0: unknown.", status.memory_total),
            ("med2e3_memory_free_bytes", "Free device memory; 0: unknown.", status.memory_free),
            ("med2e3_worker_restarts", "New starts of the model's process.", status.restarts),
            ("med2e3_replicas", "Processes that hold, or are to hold, the model.", status.replicas),
            ("med2e3_replicas_ready", "Those of them that answer.", status.replicas_ready),
        ):
            yield GaugeMetricFamily(name, text, value=value)
