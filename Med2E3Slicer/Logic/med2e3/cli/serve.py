"""``med2e3 serve``: the engine for other programs, as a service or as a program's own child.

Knows this command's options, the token and what is printed; the service itself is in
:mod:`med2e3.engine`.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from med2e3.cli import options
from med2e3.cli.engine import DEVICES
from med2e3.cli.engine_elsewhere import TOKEN_VARIABLE
from med2e3.errors import InputError, Med2E3Error
from med2e3.notice import NOTICE
from med2e3.protocol import Hello, is_loopback, problem_of
from med2e3.weights import EMBEDDED_NAME, store_dir

if TYPE_CHECKING:
    from fastapi import FastAPI

    from med2e3.engine.backend import Backend

_LOOPBACK = "127.0.0.1"
_SHORTEST_TOKEN = 16


def serve(
    *,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")] = _LOOPBACK,
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="0 takes a free one.")
    ] = 8734,
    model: options.Model = EMBEDDED_NAME,
    no_model: Annotated[bool, typer.Option("--no-model", help="Begin without a model.")] = False,
    device: options.Device = "auto",
    precision: Annotated[
        str, typer.Option(metavar="NAME", help="Number format or quantization of the weights.")
    ] = "auto",
    tls_certificate: Annotated[
        Path | None, typer.Option(metavar="FILE.pem", help="Serve HTTPS with this certificate.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(metavar="FILE.pem", help="The certificate's private key.")
    ] = None,
    allow_model_changes: Annotated[
        bool,
        typer.Option("--allow-model-changes", help="Let clients load and unload models."),
    ] = False,
    json_log: Annotated[
        bool, typer.Option("--json-log", help="Log one JSON object a line.")
    ] = False,
    ray: Annotated[
        bool,
        typer.Option("--ray", help="Several replicas of the model, as Ray's actors (extra: ray)."),
    ] = False,
    ray_address: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="A running Ray cluster; else one on this computer."),
    ] = None,
    replicas: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=256, help="Else one a GPU, or a computer without any."
        ),
    ] = None,
    child: Annotated[bool, typer.Option("--child", hidden=True)] = False,
) -> None:
    """Hold a model and answer over HTTP; MED2E3_TOKEN holds the token clients must present."""
    chosen = None if no_model else model
    if device not in DEVICES:
        raise InputError(
            f"There is no device {device!r}.", hint=f"Use one of {', '.join(DEVICES)}."
        )
    if child:
        _serve_child(chosen, device, precision)
        return
    if not ray and (ray_address is not None or replicas is not None):
        raise InputError("--ray-address and --replicas have a meaning with --ray only.")
    token = _token(host)
    if (tls_certificate is None) != (tls_key is None):
        raise InputError("TLS needs both --tls-certificate and --tls-key.")
    _check_model(chosen)
    from med2e3.engine.logs import log_to_stderr  # noqa: PLC0415
    from med2e3.engine.serving import Certificate, listen, port_of  # noqa: PLC0415
    from med2e3.engine.serving import serve as run  # noqa: PLC0415

    log_to_stderr(json_lines=json_log)
    certificate = Certificate(tls_certificate, tls_key) if tls_certificate and tls_key else None
    listening = listen(host, port)
    if ray:
        backend = _replicas(replicas, device, precision, ray_address)
    else:
        backend = _worker(device, precision)
    scheme = "https" if certificate else "http"
    shown = f"[{host}]" if ":" in host else host
    print(f"Med2E3 engine at {scheme}://{shown}:{port_of(listening)}")
    if TOKEN_VARIABLE not in os.environ:
        print(f"Token, shown only now: {token}")
    print(NOTICE, flush=True)
    if not certificate and not is_loopback(host):
        print(
            "Volumes and the token travel unencrypted: use --tls-certificate and --tls-key, or a "
            "proxy that does TLS.",
            file=sys.stderr,
        )
    run(
        _app(token, chosen, backend, may_change_model=allow_model_changes),
        listening,
        certificate=certificate,
    )


def _serve_child(model: str | None, device: str, precision: str) -> None:
    """Say where the service listens in one line, then serve until standard input is closed."""
    ended = threading.Event()
    try:
        _check_model(model)
        from med2e3.engine.logs import log_to_file  # noqa: PLC0415
        from med2e3.engine.serving import listen, port_of, when_parent_is_gone  # noqa: PLC0415
        from med2e3.engine.serving import serve as run  # noqa: PLC0415

        when_parent_is_gone(0, ended.set)
        log_to_file(store_dir() / "logs", os.getpid())
        listening = listen(_LOOPBACK, 0)
        token = secrets.token_urlsafe(32)
        backend = _worker(device, precision)
        app = _app(token, model, backend, may_change_model=True, idle_s=0.0)
    except Med2E3Error as error:
        print(json.dumps({"problem": problem_of(error)}), flush=True)
        raise typer.Exit(error.exit_code) from error
    address = f"http://{_LOOPBACK}:{port_of(listening)}"
    print(Hello(address, token, pid=os.getpid()).to_line(), flush=True)
    _silence()
    run(app, listening, ended=ended)


def _app(
    token: str,
    model: str | None,
    backend: Backend,
    *,
    may_change_model: bool,
    idle_s: float | None = None,
) -> FastAPI:
    from med2e3.engine.app import create_app  # noqa: PLC0415
    from med2e3.engine.settings import Limits, Settings  # noqa: PLC0415

    limits = Limits() if idle_s is None else replace(Limits(), idle_s=idle_s)
    settings = Settings(token, model, may_change_model, limits)
    return create_app(backend, settings)


def _worker(device: str, precision: str) -> Backend:
    from med2e3.engine.worker import WorkerBackend  # noqa: PLC0415

    return WorkerBackend(device=device, precision=precision)


def _replicas(count: int | None, device: str, precision: str, address: str | None) -> Backend:
    from med2e3.engine.cluster.links import leave, start_replicas  # noqa: PLC0415
    from med2e3.engine.cluster.pool import PoolBackend  # noqa: PLC0415

    links = start_replicas(count, device=device, precision=precision, address=address)
    return PoolBackend(links, leave=leave)


def _token(host: str) -> str:
    """The token of the environment, or a random one where only this computer can ask."""
    token = os.environ.get(TOKEN_VARIABLE)
    if token is None:
        if is_loopback(host):
            return secrets.token_urlsafe(32)
        raise InputError(
            f"At {host} the engine could be used by others, so it needs a token.",
            hint=f"Set the environment variable {TOKEN_VARIABLE}, or leave --host out.",
        )
    if len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable():
        raise InputError(
            f"The token in {TOKEN_VARIABLE} must have at least {_SHORTEST_TOKEN} ASCII characters.",
            hint="Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )
    return token


def _check_model(model: str | None) -> None:
    if model is not None:
        from med2e3.engine.loaded import check_model  # noqa: PLC0415

        check_model(model)


def _silence() -> None:
    """Send all further output of this process and its libraries nowhere.

    A parent that does not read its child's output would otherwise hold it up.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
