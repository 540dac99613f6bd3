"""Follows the log stream on the screen: one at a time, of some pods or of a whole service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cockpit.errors import CockpitError
from cockpit.model.situation import Situation

if TYPE_CHECKING:
    from cockpit.kubeapi.client import KubeClient
    from cockpit.sources.kubernetes.log_tail import LogTail


SINCE_LINES = 10_000  # of each pod, where a time is asked for


class NoPod(CockpitError):
    """None of the pods whose logs are asked for is there any more."""

    usual_remedy = "close the logs and open those of the pods that are there now"


class LogFollower:
    """Holds the open stream's lines in `tail`; every method may be called from any thread.

    `submit` runs a coroutine on the sources' loop, `client` gives the API client there.
    """

    def __init__(
        self,
        submit: Callable[[Callable[[], Coroutine[Any, Any, None]]], object],
        client: Callable[[], Awaitable[KubeClient]],
        situation: Callable[[], Situation | None],
    ) -> None:
        self.tail: LogTail | None = None
        self._back = 0
        self._submit = submit
        self._client = client
        self._situation = situation

    def open(self, namespace: str, pods: tuple[str, ...], service: str | None, *, tail: int = 0) -> str:
        """Begin to follow, `tail` lines of each pod back (0: as many as is usual); return a title.

        Raises NoPod when there is no such pod.
        """
        from cockpit.sources.kubernetes.log_tail import LogTail
        from cockpit.sources.kubernetes.logs import LogRequest

        self.stop()

        def of_service() -> tuple[tuple[str, str | None], ...]:
            return self._containers(namespace, service=service)

        chosen = of_service() if service is not None else self._containers(namespace, names=pods)
        if not chosen and service is None:
            raise NoPod(f"no pod {', '.join(pods)} in {namespace} any more")
        self._back = tail or LogRequest.tail
        request = LogRequest(namespace, chosen, follow=True, tail=self._back)
        self._begin(LogTail(request, of_service if service is not None else None))
        return service or ", ".join(pods)

    def reopen(self, *, previous: bool, since_s: int | None) -> None:
        """Follow the same pods from another container instance or another time."""
        if self.tail is None:
            return
        from cockpit.sources.kubernetes.log_tail import LogTail

        old = self.tail
        old.stop()
        back = self._back if since_s is None else SINCE_LINES
        request = replace(old.request, previous=previous, since_s=since_s, tail=back)
        self._begin(LogTail(request, old.pods_now))

    def stop(self) -> None:
        if self.tail is not None:
            self.tail.stop()
            self.tail = None

    def _begin(self, tail: LogTail) -> None:
        self.tail = tail
        self._submit(lambda: tail.run(self._client))

    def _containers(
        self, namespace: str, *, names: tuple[str, ...] = (), service: str | None = None
    ) -> tuple[tuple[str, str | None], ...]:
        """Return (pod, its service's own container): a sidecar's chatter is not asked for."""
        situation = self._situation()
        found = []
        for pod in situation.cluster.pods.values() if situation is not None else ():
            if pod.namespace == namespace and (pod.service == service if service is not None else pod.name in names):
                own = [c.name for c in pod.containers if not c.init]
                container = pod.service if pod.service in own else own[0] if own else None
                found.append((pod.name, container))
        return tuple(sorted(found))
