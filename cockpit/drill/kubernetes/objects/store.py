"""Stores the objects, one resourceVersion counter, and history for watches and old lists.

Objects are never changed in place: a write stores a new dict (parts may be shared with the old
one). Each version is encoded once, whatever the number of readers. Not thread-safe: one event loop
owns a store.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from operator import attrgetter
from random import Random
from typing import Any
from uuid import UUID

import msgspec

from cockpit.drill.clock import SimClock, rfc3339
from cockpit.drill.kubernetes.objects import statuses
from cockpit.drill.kubernetes.objects.resources import Obj, Resource

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder().decode

Key = tuple[str, str]  # (namespace or "", name)
_rv_of = attrgetter("rv")


class Stored:
    """Holds one version of one object."""

    __slots__ = ("_item", "key", "obj", "rv")

    def __init__(self, key: Key, obj: Obj, rv: int) -> None:
        self.key = key
        self.obj = obj
        self.rv = rv
        self._item: bytes | None = None

    def item(self) -> bytes:
        """Encode as in a list: without kind and apiVersion."""
        if self._item is None:
            self._item = encode(self.obj)
        return self._item

    def single(self, res: Resource) -> bytes:
        """Encode with kind and apiVersion, as a get or a watch event shows it."""
        head = f'{{"kind":"{res.kind}","apiVersion":"{res.api_version}",'
        return head.encode() + self.item()[1:]

    def copy(self) -> Obj:
        """Return a deep copy that the caller may change."""
        return decode(self.item())  # type: ignore[no-any-return]


class Change:
    """Holds one entry of the history.

    `old` is None for ADDED; for DELETED `new` is the last state with the deletion's version.
    """

    __slots__ = ("_line", "new", "old", "rv", "type")

    def __init__(self, kind: str, new: Stored, old: Stored | None) -> None:
        self.type = kind
        self.rv = new.rv
        self.new = new
        self.old = old
        self._line: bytes | None = None

    def line(self, res: Resource) -> bytes:
        """Return the watch line without selectors, encoded once for all watchers."""
        if self._line is None:
            self._line = b'{"type":"%b","object":%b}\n' % (self.type.encode(), self.new.single(res))
        return self._line


class _Shelf:
    """Holds all objects of one storage key, in etcd's order, with their history."""

    __slots__ = ("compacted", "history", "items", "keys", "wakers")

    def __init__(self, compacted: int) -> None:
        self.items: dict[Key, Stored] = {}
        self.keys: list[Key] = []
        self.history: list[Change] = []
        self.compacted = compacted  # changes at or before this version are forgotten
        self.wakers: set[asyncio.Event] = set()


class Store:
    """Stores objects by kind.

    `window`: changes remembered a resource; older versions are "expired" (410).
    """

    def __init__(self, clock: SimClock, seed: int, *, first_version: int = 1000, window: int = 20_000) -> None:
        self.clock = clock
        self.rv = first_version
        self.window = window
        self._first = first_version
        self._shelves: dict[str, _Shelf] = {}
        self._random = Random(f"{seed}/uids")
        self._snapshots: dict[tuple[str, int], list[Stored]] = {}
        self._owned: dict[str, dict[tuple[str, Key], None]] = {}
        #: Called after each write: controllers keep their own lists by it.
        self.listeners: list[Callable[[Resource, Change], None]] = []

    # reading

    def _shelf(self, storage: str) -> _Shelf:
        shelf = self._shelves.get(storage)
        if shelf is None:
            shelf = self._shelves[storage] = _Shelf(self._first)
        return shelf

    def get(self, res: Resource, namespace: str, name: str) -> Stored | None:
        return self._shelf(res.storage).items.get((namespace, name))

    def select(self, res: Resource, namespace: str = "") -> list[Stored]:
        """Return current objects in etcd's order; of one namespace, or all."""
        shelf = self._shelf(res.storage)
        return [shelf.items[key] for key in _range(shelf.keys, namespace)]

    def objects(self, res: Resource, namespace: str = "") -> Iterator[Obj]:
        return (s.obj for s in self.select(res, namespace))

    def owned(self, res: Resource, owner_uid: str) -> list[Stored]:
        """Return objects of a kind whose controller is `owner_uid`, in etcd's order."""
        items = self._shelf(res.storage).items
        keys = sorted(key for storage, key in self._owned.get(owner_uid, ()) if storage == res.storage)
        return [items[key] for key in keys]

    def dependents(self, owner_uid: str) -> list[tuple[str, Key]]:
        """Return (storage, key) of everything that `owner_uid` controls."""
        return list(self._owned.get(owner_uid, ()))

    def at(self, res: Resource, rv: int, namespace: str = "") -> list[Stored] | None:
        """Return the objects as they were at `rv`; None when that is forgotten."""
        shelf = self._shelf(res.storage)
        if not shelf.history or shelf.history[-1].rv <= rv:
            return self.select(res, namespace) if rv >= shelf.compacted else None
        cached = self._snapshots.get((res.storage, rv))
        if cached is None:
            if rv < shelf.compacted:
                return None
            items = dict(shelf.items)
            for change in reversed(shelf.history):
                if change.rv <= rv:
                    break
                if change.old is None:
                    items.pop(change.new.key, None)
                else:
                    items[change.old.key] = change.old
            cached = [items[key] for key in sorted(items)]
            self._remember(res, rv, cached)
        return [s for s in cached if not namespace or s.key[0] == namespace]

    def _remember(self, res: Resource, rv: int, items: list[Stored]) -> None:
        while len(self._snapshots) >= 4:
            del self._snapshots[next(iter(self._snapshots))]
        self._snapshots[(res.storage, rv)] = items

    # watching

    def compacted(self, res: Resource) -> int:
        return self._shelf(res.storage).compacted

    def changes(self, res: Resource, after: int) -> list[Change]:
        """Return changes with a version above `after`.

        Raises ApiError 410 when some of them are forgotten.
        """
        shelf = self._shelf(res.storage)
        if after < shelf.compacted:
            raise statuses.watch_expired(after, shelf.compacted)
        return shelf.history[bisect_right(shelf.history, after, key=_rv_of) :]

    def subscribe(self, res: Resource) -> asyncio.Event:
        """Return an event that is set at each change of the resource.

        Give it back to `unsubscribe`.
        """
        waker = asyncio.Event()
        self._shelf(res.storage).wakers.add(waker)
        return waker

    def unsubscribe(self, res: Resource, waker: asyncio.Event) -> None:
        self._shelf(res.storage).wakers.discard(waker)

    def forget(self) -> None:
        """Compact everything: whoever comes back with an older version gets 410.

        (Other writes moved the counter on.)
        """
        self.rv += 1
        self._snapshots.clear()
        for shelf in self._shelves.values():
            shelf.history.clear()
            shelf.compacted = self.rv
            for waker in shelf.wakers:
                waker.set()

    # writing

    def new_uid(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def _record(self, res: Resource, change: Change) -> None:
        shelf = self._shelf(res.storage)
        shelf.history.append(change)
        if len(shelf.history) > 2 * self.window:
            shelf.compacted = shelf.history[self.window - 1].rv
            del shelf.history[: self.window]
        for waker in shelf.wakers:
            waker.set()
        if change.type != "MODIFIED":
            self._index(res, change)
        for listener in self.listeners:
            listener(res, change)

    def _index(self, res: Resource, change: Change) -> None:
        entry = (res.storage, change.new.key)
        for ref in change.new.obj["metadata"].get("ownerReferences") or ():
            if not ref.get("controller"):
                continue
            mine = self._owned.setdefault(ref["uid"], {})
            if change.type == "ADDED":
                mine[entry] = None
            else:
                mine.pop(entry, None)
                if not mine:
                    del self._owned[ref["uid"]]

    def create(self, res: Resource, obj: Obj) -> Stored:
        """Store a new object: uid, creationTimestamp and resourceVersion are filled in.

        Raises ApiError 409.
        """
        meta: dict[str, Any] = obj["metadata"]
        key = (meta.get("namespace", "") if res.namespaced else "", meta["name"])
        shelf = self._shelf(res.storage)
        if key in shelf.items:
            raise statuses.already_exists(res, meta["name"])
        self.rv += 1
        stored = Stored(key, self._stamped(res, obj), self.rv)
        shelf.items[key] = stored
        insort(shelf.keys, key)
        self._record(res, Change("ADDED", stored, None))
        return stored

    def fresh(self, res: Resource, obj: Obj) -> Obj:
        """Return the object as `create` would store it, without storing it (dry run).

        It has no resourceVersion.
        """
        stamped = self._stamped(res, obj)
        return {**stamped, "metadata": {k: v for k, v in stamped["metadata"].items() if k != "resourceVersion"}}

    def _stamped(self, res: Resource, obj: Obj) -> Obj:
        meta = obj["metadata"]
        head: Obj = {"name": meta["name"]}
        if "generateName" in meta:
            head["generateName"] = meta["generateName"]
        if res.namespaced:
            head["namespace"] = meta["namespace"]
        head["uid"] = meta.get("uid") or self.new_uid()
        head["resourceVersion"] = str(self.rv)
        if "generation" in meta:
            head["generation"] = meta["generation"]
        head["creationTimestamp"] = rfc3339(self.clock.now())
        rest = {k: v for k, v in meta.items() if k not in head}
        return {"metadata": {**head, **rest}, **{k: v for k, v in obj.items() if k != "metadata"}}

    def replace(self, res: Resource, old: Stored, obj: Obj) -> Stored:
        """Store a new version in place of `old` (which must be current).

        An equal object is no write at all.
        """
        if obj == old.obj:
            return old
        self.rv += 1
        stored = Stored(old.key, {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.rv)}}, self.rv)
        self._shelf(res.storage).items[old.key] = stored
        self._record(res, Change("MODIFIED", stored, old))
        return stored

    def remove(self, res: Resource, old: Stored) -> Stored:
        """Delete for good; return the last state with the deletion's version."""
        self.rv += 1
        shelf = self._shelf(res.storage)
        del shelf.items[old.key]
        shelf.keys.pop(bisect_left(shelf.keys, old.key))
        last = Stored(
            old.key, {**old.obj, "metadata": {**old.obj["metadata"], "resourceVersion": str(self.rv)}}, self.rv
        )
        self._record(res, Change("DELETED", last, old))
        return last


def _range(keys: list[Key], namespace: str) -> list[Key]:
    if not namespace:
        return keys
    return keys[bisect_left(keys, (namespace, "")) : bisect_left(keys, (namespace + "\x00", ""))]
