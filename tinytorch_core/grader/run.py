"""What one grading holds while it goes on: its kernels, its clock, and the events it sends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tinytorch_core.grader.kernels import Kernel, Pool, Role
from tinytorch_core.report import Progress

Emit = Callable[[Progress], None]


class Run:
    """One grading as it goes on."""

    def __init__(self, attempt: str, module: str, pool: Pool, emit: Emit) -> None:
        self.attempt = attempt
        self.module = module
        self.pool = pool
        self._emit = emit
        self._seq = 0
        self._kernels: list[Kernel] = []
        self.started = time.time()
        self._clock = time.perf_counter()
        self.timings: dict[str, float] = {}
        self.cancelled = False
        self.overtime = False

    def emit(self, **fields: object) -> None:
        self._emit(Progress(attempt=self.attempt, module=self.module, seq=self._seq, **fields))  # type: ignore[arg-type]
        self._seq += 1

    def mark(self, name: str) -> None:
        self.timings[name] = round(1000 * self.seconds, 3)

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._clock

    async def take(self, *roles: Role) -> list[Kernel]:
        kernels = await asyncio.gather(*(self.pool.take(role) for role in roles))
        self._kernels += kernels
        if self.cancelled:
            self.cancel()
        if self.overtime:
            self.stop_at_limit()
        return kernels

    def cancel(self) -> None:
        """Stop whatever runs; the grading then ends with the verdict `cancelled`."""
        self.cancelled = True
        for kernel in self._kernels:
            kernel.stop("cancelled")

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """Inside, stop whatever runs once this grading has taken `seconds`."""
        limit = asyncio.get_running_loop().call_later(max(0.0, seconds - self.seconds), self.stop_at_limit)
        try:
            yield
        finally:
            limit.cancel()

    def stop_at_limit(self) -> None:
        self.overtime = True
        for kernel in self._kernels:
            kernel.stop("run")

    async def end(self) -> None:
        """Kill the kernels with everything they started: before the verdict, so that nothing of the student's outlives it."""
        await self.pool.kill(*self._kernels)

    async def tidy(self) -> None:
        """What can wait until the verdict is out: close clients, delete scratch folders, warm up the next kernels."""
        self.pool.refill()
        await self.pool.discard(*self._kernels)
