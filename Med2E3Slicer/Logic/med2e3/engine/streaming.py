"""An HTTP answer that goes on while a question is answered, and ends when either side is gone.

Knows ASGI messages; does not know what the bytes are.  Starlette's own streaming answer waits
without end for a client that has stopped reading; this one gives up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from med2e3.protocol import STREAM_MEDIA_TYPE


class EventStream(Response):
    """Server-Sent Events.

    Args:
        chunks: what to send.
        left: called once when no more is sent, whatever the reason.
        stall_s: a client that takes nothing for so long is taken for gone.
    """

    media_type = STREAM_MEDIA_TYPE

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        left: Callable[[], None],
        stall_s: float,
        status_code: int = 200,
    ) -> None:
        # proxies (nginx) must not collect the events
        super().__init__(status_code=status_code, headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._chunks = chunks
        self._left = left
        self._stall_s = stall_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the end, or until the client is gone."""
        sending = asyncio.create_task(self._send(send))
        gone = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._left()
            sending.cancel()
            gone.cancel()
            await asyncio.gather(sending, gone, return_exceptions=True)
            await self._chunks.aclose()

    async def _send(self, send: Send) -> None:
        async def patiently(message: dict[str, object]) -> None:
            async with asyncio.timeout(self._stall_s):
                await send(message)

        await patiently(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        async for chunk in self._chunks:
            await patiently({"type": "http.response.body", "body": chunk, "more_body": True})
        await patiently({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
