"""Generates songs in replicas of Ray Serve, on one machine or a cluster.

The endpoints, the queue and the kept songs stay in the process that serves them; replicas have the
models and no state. What a request needs, such as the codes of a song to edit, is in its order. If
a replica is lost, its orders are given to another one. The same seed gives the same song, so a
stream goes on where it was interrupted.
"""

import asyncio
import logging
import os
import traceback
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from ..optional import require
from .engine import Happening, ModelFacts, Order, SongEngine, StepsDone
from .server import load_models

logger = logging.getLogger(__name__)

APPLICATION = "songgen"
ATTEMPTS = 8
"""How often an order is given to a replica before the request fails."""
STARTS = 4
"""How often Ray is started until it is there in the time that it gives itself."""
_PAUSE_SECONDS = 0.5  # until the next attempt, and longer after each


class SongReplica:
    """The models of one replica.

    Args:
        names, loading: as of :func:`~songgen_hf.serving.server.load_models`.
        workers, compile: as of :class:`SongEngine`.
        threads: CPU threads.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        loading: Mapping[str, Any],
        workers: int,
        compile: bool,
        threads: int,
    ):
        import torch

        from ..space.memory import use_few_arenas

        use_few_arenas()
        torch.set_num_threads(threads)
        self._engine = SongEngine(load_models(names, **loading), workers=workers, compile=compile)

    async def facts(self) -> dict[str, ModelFacts]:
        """What the service knows of the models."""
        return self._engine.models

    async def run(self, order: Order) -> AsyncGenerator[Happening, None]:
        """Generate one song, see :meth:`SongEngine.run`."""
        async with aclosing(self._engine.run(order)) as happenings:
            async for happening in happenings:
                yield happening


class ReplicaEngine:
    """Gives orders to the replicas of Ray Serve, with the methods of :class:`SongEngine`.

    Args:
        names, loading: as of :func:`~songgen_hf.serving.server.load_models`.
        replicas: number of replicas.
        workers: songs that each replica generates at the same time.
        compile: as of :class:`SongEngine`.
        threads: CPU threads of each replica.
        gpus: share of a GPU that each replica reserves.
    Raises:
        ImportError: without the packages of the extra ``ray``.
    """

    def __init__(
        self,
        names: Sequence[str] = (),
        *,
        replicas: int,
        loading: Mapping[str, Any] | None = None,
        workers: int = 1,
        compile: bool = False,
        threads: int = 1,
        gpus: float = 0.0,
    ):
        ray = require("ray", "ray")
        serve = require("ray.serve", "ray")
        self._ray, self._serve = ray, serve
        self._started_ray = not ray.is_initialized()
        if self._started_ray:
            _start_ray(ray, cpus=replicas * threads)
        # The endpoints are those of this process: Ray needs none of its own.
        serve.start(proxy_location="Disabled")
        deployment = serve.deployment(
            SongReplica,
            name="SongReplica",
            num_replicas=replicas,
            max_ongoing_requests=workers + 1,  # one more waits, so that a replica never does
            ray_actor_options={"num_cpus": 0 if gpus else threads, "num_gpus": gpus},
            health_check_period_s=2,
            graceful_shutdown_timeout_s=5,
        )
        application = deployment.bind(
            list(names),
            loading=dict(loading or {}),
            workers=workers,
            compile=compile,
            threads=threads,
        )
        self._handle = serve.run(application, name=APPLICATION, route_prefix=None)
        self.places = replicas * workers
        self.models: dict[str, ModelFacts] = self._handle.facts.remote().result()
        self._closed = False

    @property
    def ready(self) -> bool:
        """Whether some replica runs."""
        if self._closed:
            return False
        application = self._serve.status().applications.get(APPLICATION)
        return application is not None and any(
            deployment.replica_states.get("RUNNING")
            for deployment in application.deployments.values()
        )

    async def run(self, order: Order) -> AsyncGenerator[Happening, None]:
        """Generate one song, see :meth:`SongEngine.run`; a lost replica is not noticed."""
        sent = 0  # bytes of sound that were passed on already
        steps = 0
        for attempt in range(ATTEMPTS):
            passed = 0
            response = self._handle.options(stream=True).run.remote(order)
            try:
                async for happening in response:
                    if isinstance(happening, bytes):
                        passed += len(happening)
                        fresh = happening[max(0, len(happening) - max(0, passed - sent)) :]
                        sent = max(sent, passed)
                        if not fresh:
                            continue
                        yield fresh
                    elif isinstance(happening, StepsDone):
                        if happening.done > steps:
                            steps = happening.done
                            yield happening
                    else:
                        yield happening
                return
            except Exception as error:
                cause = getattr(error, "cause", None)
                if isinstance(cause, ValueError | TypeError):
                    raise cause from None
                if not self._is_lost(error) or attempt == ATTEMPTS - 1:
                    raise
                logger.warning("a replica was lost: its song is generated by another one")
            finally:
                response.cancel()
            await asyncio.sleep(_PAUSE_SECONDS * (attempt + 1))

    def close(self) -> None:
        """End the replicas, and Ray if it was started here."""
        if self._closed:
            return
        self._closed = True
        self._serve.shutdown()
        if self._started_ray:
            self._ray.shutdown()

    def _is_lost(self, error: Exception) -> bool:
        """Whether an error says that a replica is gone, and not that a song failed."""
        exceptions = self._ray.exceptions
        lost = (exceptions.RayActorError, exceptions.WorkerCrashedError)
        serve = require("ray.serve.exceptions", "ray")
        gone = (serve.ReplicaUnavailableError, serve.DeploymentUnavailableError)
        return isinstance(error, (*lost, *gone)) or isinstance(
            getattr(error, "cause", None), (*lost, *gone)
        )


def _start_ray(ray: Any, *, cpus: int) -> None:
    """Join the cluster that the environment variable RAY_ADDRESS names, or start Ray here."""
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False)
        return
    os.environ.setdefault("RAY_worker_niceness", "0")  # a busy machine would starve replicas
    # Replicas on one machine may share its CPUs.
    cpus = max(cpus, os.cpu_count() or 1)
    quiet = {"include_dashboard": False, "log_to_driver": False, "configure_logging": False}
    for attempt in range(STARTS):
        try:
            ray.init("local", num_cpus=cpus, **quiet)
            return
        except Exception as error:
            # Ray waits half a minute for its own processes, which a busy machine may need.
            if "timed out during startup" not in str(error) or attempt == STARTS - 1:
                raise
            logger.warning("Ray did not start in its time: it is started again")
            _end_node(error)
            ray.shutdown()


def _end_node(error: BaseException) -> None:
    """End the processes of the node that raised an error while it started.

    Ray itself ends them only when this process ends, and hands out no reference to the node.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        end = getattr(frame.f_locals.get("self"), "kill_all_processes", None)
        if end is not None:
            end(check_alive=False, allow_graceful=True)
            return


def gpus_of_replica(device: str, replicas: int) -> float:
    """The share of a GPU that a replica reserves: what this machine has, among its replicas."""
    import torch

    if device == "cpu" or not torch.cuda.is_available():
        return 0.0
    return min(1.0, torch.cuda.device_count() / replicas)


__all__ = ["ATTEMPTS", "ReplicaEngine", "SongReplica", "gpus_of_replica"]
