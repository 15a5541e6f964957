"""The HTTP service: addresses, what each does, and its description (OpenAPI).

Knows HTTP; what answers is a :class:`med2e3.engine.backend.Backend`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Path, Query, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.security import HTTPBearer

import med2e3
from med2e3.engine.backend import Backend, Status
from med2e3.engine.gate import CLIENT_KEY, Body, Gate
from med2e3.engine.metrics import METRICS, METRICS_MEDIA_TYPE, MeteredBackend
from med2e3.engine.problems import add_problem_handlers, documented
from med2e3.engine.questions import Answer, Questions
from med2e3.engine.schemas import (
    AskBody,
    CapabilitiesOut,
    Health,
    ModelBody,
    Readiness,
    VolumeOut,
    event_schemas,
)
from med2e3.engine.settings import Settings
from med2e3.engine.shelf import Shelf
from med2e3.engine.streaming import EventStream
from med2e3.errors import InputError, Med2E3Error
from med2e3.notice import NOTICE, whole_notice
from med2e3.protocol import (
    API_HEADER,
    API_VERSION,
    CAPABILITIES,
    CLIENT_HEADER,
    DEFLATE,
    HEALTH,
    MODEL,
    PROBLEM_MEDIA_TYPE,
    QUESTIONS,
    READINESS,
    STREAM_MEDIA_TYPE,
    VOLUME_MEDIA_TYPE,
    VOLUMES,
    Capabilities,
    ModelDescription,
    NotAllowed,
    inflate,
)

_log = logging.getLogger(__name__)
_SWEEPS_S = 30.0

Sha256 = Annotated[
    str,
    Path(
        pattern=r"^[0-9a-f]{64}$",
        description="SHA-256 over the ASCII text `(slices, rows, columns)`, for example "
        "`(32, 256, 256)`, and the voxels' bytes before compression.",
    ),
]
QuestionId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Size = Annotated[int, Query(ge=1, le=1 << 14)]
#: one event, in the form that OpenAPI 3.2 has for streams
_EVENT = {
    "type": "object",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string", "pattern": "^[1-9][0-9]*$"},
        "event": {"type": "string"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/Event"},
        },
    },
}
_STREAM_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-Sent Events: `id` counts from 1, `event` is the type, `data` is "
        "one line of JSON as in the schema `Event`. `accepted` is first, `scores` comes before "
        "the first `token`, `done` or `error` is last. Lines that begin with `:` are pings. "
        "Types that a client does not know are to be ignored.",
        "content": {STREAM_MEDIA_TYPE: {"itemSchema": _EVENT}},
    }
}
_VOLUME_BODY = {
    "requestBody": {
        "required": True,
        "description": "slices x rows x columns numbers, little-endian float32, in 0..1. With "
        f"`Content-Encoding: {DEFLATE}` in the zlib format.",
        "content": {VOLUME_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


def create_app(backend: Backend, settings: Settings) -> FastAPI:
    """The service.

    Args:
        backend: answers; started and closed with the service.
        settings: token and limits.
    """
    backend = metered = MeteredBackend(backend)
    shelf = Shelf(backend, settings.limits)
    questions = Questions(backend, shelf, settings.limits)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await backend.start()
        tasks = [asyncio.create_task(_sweep(shelf, settings.limits.idle_s))]
        if settings.model is not None:
            tasks.append(asyncio.create_task(_load(backend, settings.model)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await questions.stop()
            await backend.close()
            await asyncio.gather(*tasks, return_exceptions=True)

    app = FastAPI(
        title="Med2E3 engine",
        version=API_VERSION,
        summary=NOTICE,
        description="Answers questions about CT volumes with Med-2E3. See docs/engine-api.md. "
        f"Every request may have the headers `{CLIENT_HEADER}`, a word of chance of 1 to 64 of "
        "`A-Za-z0-9._~-` by which turns and limits are counted, and "
        f"`{API_HEADER}`, the version that the client speaks.",
        lifespan=life,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        responses=documented(),
        redirect_slashes=False,
        # traces would hold hashes of volumes and addresses of clients
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.questions = questions
    app.add_middleware(Gate, settings=settings)
    add_problem_handlers(app)
    _add_state(app, backend, settings)
    _add_metrics(app, metered)
    _add_model(app, backend, settings)
    _add_volumes(app, shelf, settings)
    _add_questions(app, questions, settings)

    def description() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=app.description,
                routes=app.routes,
            )
            schema["components"]["schemas"] |= event_schemas()
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = description  # type: ignore[method-assign]  # FastAPI's own way to extend it
    return app


#: says in OpenAPI that a token is needed; :class:`Gate` checks it
_TOKEN = [Depends(HTTPBearer(auto_error=False, description="The engine's token."))]


def _add_state(app: FastAPI, backend: Backend, settings: Settings) -> None:
    @app.get(HEALTH, tags=["state"])
    async def health() -> Health:
        """Whether the service runs, and its version; needs no token."""
        return Health(status="ok", api=API_VERSION, software=med2e3.__version__)

    @app.get(
        READINESS,
        tags=["state"],
        dependencies=_TOKEN,
        responses={503: {"model": Readiness, "description": "Not ready."}},
    )
    async def readiness(response: Response) -> Readiness:
        """Whether questions are answered now: 200 or 503."""
        status = backend.status()
        ready = status.state == "ready"
        response.status_code = 200 if ready else 503
        return Readiness(ready=ready, state=status.state, problem=status.problem)

    @app.get(CAPABILITIES, tags=["state"], dependencies=_TOKEN)
    async def capabilities() -> CapabilitiesOut:
        """The model, its device and memory, its licence and notice, and the limits."""
        return _capabilities(backend.status(), settings)


def _add_metrics(app: FastAPI, metered: MeteredBackend) -> None:
    @app.get(METRICS, include_in_schema=False)  # of Prometheus' format, not of this interface
    async def metrics() -> Response:
        """Numbers for operators; from this computer without a token."""
        return Response(metered.text(), media_type=METRICS_MEDIA_TYPE)


def _add_model(app: FastAPI, backend: Backend, settings: Settings) -> None:
    one_at_a_time = asyncio.Lock()

    def check_allowed() -> None:
        if not settings.may_change_model:
            raise NotAllowed(
                "Clients of this engine may not load or unload models.",
                hint="Ask the engine's operator.",
            )

    @app.put(MODEL, tags=["model"], dependencies=_TOKEN)
    async def load_model(body: ModelBody) -> CapabilitiesOut:
        """Load a model in the place of the present one; answers when it is ready.

        A name that means no model is refused, and the present one stays.
        """
        check_allowed()
        await asyncio.to_thread(backend.check, body.model)
        async with one_at_a_time:
            # goes on when the client does not wait for it
            await asyncio.shield(backend.load(body.model))
        return _capabilities(backend.status(), settings)

    @app.delete(MODEL, tags=["model"], dependencies=_TOKEN)
    async def unload_model() -> CapabilitiesOut:
        """Free the model's memory; volumes stay."""
        check_allowed()
        async with one_at_a_time:
            await backend.unload()
        return _capabilities(backend.status(), settings)


def _add_volumes(app: FastAPI, shelf: Shelf, settings: Settings) -> None:
    limits = settings.limits
    address = VOLUMES + "/{sha256}"

    @app.head(address, tags=["volumes"], dependencies=_TOKEN, response_class=Response)
    async def look_for_volume(sha256: Sha256) -> Response:
        """Whether a volume is held: 200 or 404, without a body."""
        if sha256 in shelf:
            return Response()
        return Response(status_code=404, media_type=PROBLEM_MEDIA_TYPE)

    @app.put(address, tags=["volumes"], dependencies=_TOKEN, openapi_extra=_VOLUME_BODY)
    async def put_volume(
        request: Request,
        sha256: Sha256,
        slices: Size,
        rows: Size,
        columns: Size,
        content_encoding: Annotated[str, Header()] = "identity",
    ) -> VolumeOut:
        """Give the engine a model input; what it holds already is not read again."""
        client = request.scope[CLIENT_KEY]
        body = Body(request.scope, request.receive, limits.stall_s)

        async def read(size: int) -> bytearray:
            packed = await body.read(size + 1024)
            if content_encoding == DEFLATE:
                return bytearray(await asyncio.to_thread(inflate, packed, size))
            return packed

        try:
            if content_encoding not in ("identity", DEFLATE):
                raise InputError(
                    "The volume's Content-Encoding is not known.", hint=f"Use {DEFLATE}, or none."
                )
            if sha256 in shelf:
                shelf.use(client, sha256)
            else:
                await shelf.put(client, sha256, (slices, rows, columns), read)
        finally:
            await body.skip(limits.max_volume_bytes)
        return VolumeOut(sha256=sha256)

    @app.delete(address, status_code=204, tags=["volumes"], dependencies=_TOKEN)
    async def drop_volume(request: Request, sha256: Sha256) -> None:
        """Give a volume up; it goes when no other client uses it."""
        await shelf.drop(request.scope[CLIENT_KEY], sha256)


def _add_questions(app: FastAPI, questions: Questions, settings: Settings) -> None:
    def stream(answer: Answer, after: int) -> EventStream:
        reader, chunks = questions.read(answer, after)
        return EventStream(chunks, lambda: questions.left(answer, reader), settings.limits.stall_s)

    @app.post(
        QUESTIONS,
        tags=["questions"],
        dependencies=_TOKEN,
        responses=_STREAM_ANSWER,
        response_class=Response,
    )
    async def ask(request: Request, body: AskBody) -> EventStream:
        """Ask a question; its events come as they happen."""
        return stream(questions.ask(request.scope[CLIENT_KEY], body.request()), 0)

    @app.get(
        QUESTIONS + "/{question}/events",
        tags=["questions"],
        dependencies=_TOKEN,
        responses=_STREAM_ANSWER,
        response_class=Response,
    )
    async def read_on(
        question: QuestionId,
        last_event_id: Annotated[
            int, Header(ge=0, lt=2**31, description="Number of the last event that arrived.")
        ] = 0,
    ) -> EventStream:
        """Read on after a broken connection, within the grace that was granted."""
        return stream(questions.find(question), last_event_id)

    @app.delete(QUESTIONS + "/{question}", status_code=204, tags=["questions"], dependencies=_TOKEN)
    async def cancel(question: QuestionId) -> None:
        """Stop a question: its events end with `done`, `finish_reason` `cancelled`."""
        questions.cancel(question)


def _capabilities(status: Status, settings: Settings) -> CapabilitiesOut:
    model = None
    if status.model is not None:
        loaded = status.model
        model = ModelDescription(
            **loaded.record.to_dict(),
            input_size=loaded.input_size,
            context_length=loaded.context_length,
            device=loaded.device,
            dtype=loaded.dtype,
            licence=loaded.licence,
        )
    values = asdict(status) | {"model": model}
    said = Capabilities(
        api=API_VERSION,
        software=med2e3.__version__,
        notice=whole_notice(model.notice if model else None),
        may_change_model=settings.may_change_model,
        max_volume_bytes=settings.limits.max_volume_bytes,
        max_grace_s=settings.limits.max_grace_s,
        **values,
    )
    return CapabilitiesOut.model_validate(said.to_json())


async def _sweep(shelf: Shelf, idle_s: float) -> None:
    while True:
        await asyncio.sleep(min(_SWEEPS_S, idle_s / 4) if idle_s else _SWEEPS_S)
        await shelf.forget_idle()


async def _load(backend: Backend, model: str) -> None:
    with suppress(Med2E3Error):  # the backend's status tells it
        await backend.load(model)
