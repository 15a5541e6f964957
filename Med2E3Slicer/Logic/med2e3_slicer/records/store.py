"""The exchanges of a scene: add, read, review, remove, and be told of changes.

Knows how nodes and JSON make a record and what to do with those that cannot be read: they are
left alone and reported. Needs no engine and no model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from slicer.i18n import tr as _

from med2e3.errors import InputError, Med2E3Error
from med2e3.record import Exchange
from med2e3.volume import SliceMap
from med2e3_slicer.records import nodes
from med2e3_slicer.records.document import (
    Review,
    read_document,
    slice_map_of,
    with_review,
    write_document,
)
from med2e3_slicer.records.motion import Motion, geometry_text, motion
from med2e3_slicer.records.watch import Watch


@dataclass(frozen=True)
class StoredExchange:
    """One exchange as the scene holds it at this moment.

    Args:
        key: tells it from every other record, in every scene.
        node_id: of its text node, in this scene.
        number: counts from 1 in its scene.
        exchange: the record as the engine gave it.
        review: what a person made of it.
        volume_id: of the volume it is about; ``None`` if that is gone.
        geometry: where the volume lay when its voxels were read.
        motion: how it has moved since.
    """

    key: str
    node_id: str
    number: int
    exchange: Exchange
    review: Review
    volume_id: str | None
    geometry: str
    motion: Motion

    @property
    def moved(self) -> bool:
        """Whether the volume lies elsewhere now; the record's positions are the old ones."""
        return self.motion.moved

    @property
    def text(self) -> str:
        """The person's version of the answer if there is one, else the model's."""
        return self.exchange.answer if self.review.text is None else self.review.text

    @property
    def is_edited(self) -> bool:
        """Whether a person changed the text."""
        return self.review.text is not None

    @property
    def slice_map(self) -> SliceMap:
        """Where its model slices lie.

        Raises:
            InputError: when the record does not tell it.
        """
        return slice_map_of(self.exchange)


@dataclass(frozen=True)
class Unreadable:
    """A record node that this version cannot read: its id, and why, for the person."""

    node_id: str
    reason: str


class ExchangeStore:
    """The exchanges of one scene.

    Args:
        scene: a ``vtkMRMLScene``.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._watch: Watch | None = None
        self._listeners: list[Callable[[], None]] = []
        self._quiet = False
        #: node id → its text, and what it says; spares reading the JSON again
        self._read: dict[str, tuple[str, tuple[Exchange, Review]]] = {}

    def add(self, volume: Any, exchange: Exchange, geometry: str | None = None) -> StoredExchange:
        """Keep an exchange in the scene.

        Args:
            volume: the volume node it is about; one that was removed from the scene meanwhile, or
                ``None``, gives a record without a volume, so that no answer is lost.
            exchange: the record.
            geometry: where the volume lay when its voxels were read
                (:func:`~med2e3_slicer.records.geometry_text`); by default where it lies now.

        Raises:
            InputError: when the volume belongs to another scene, or a number is not finite.
        """
        text = write_document(exchange)
        if volume is not None and volume.GetScene() is None:
            volume = None
        if volume is not None and volume.GetScene() is not self._scene:
            raise InputError(_("The volume belongs to another scene than the records."))

        if geometry is None:
            geometry = "" if volume is None else geometry_text(volume)

        def add_nodes() -> Any:
            node = nodes.add_text_node(self._scene, exchange, text, volume, geometry)
            if exchange.scores:
                nodes.add_table_node(self._scene, exchange, node, volume)
            return node

        return self._as_stored(self._change(add_nodes))

    def exchanges(self, volume: Any = None) -> tuple[StoredExchange, ...]:
        """The exchanges about a volume node, newest first; all of the scene for ``None``."""
        found = []
        for node in nodes.record_nodes(self._scene):
            if volume is not None and nodes.volume_of(node) is not volume:
                continue
            try:
                found.append(self._as_stored(node))
            except Med2E3Error:
                continue  # unreadable() tells of it
        return tuple(
            sorted(found, key=lambda each: (each.exchange.created, each.number), reverse=True)
        )

    def unreadable(self) -> tuple[Unreadable, ...]:
        """Records that are damaged or of a newer version; they are left as they are."""
        found = []
        for node in nodes.record_nodes(self._scene):
            try:
                self._as_stored(node)
            except Med2E3Error as error:
                found.append(Unreadable(node.GetID(), str(error)))
        return tuple(found)

    def reload(self, stored: StoredExchange) -> StoredExchange | None:
        """The same exchange as it is now; ``None`` if it is no longer in the scene."""
        node = self._find(stored)
        return None if node is None else self._as_stored(node)

    def update_review(
        self, stored: StoredExchange, *, text: str | None, reviewed: bool
    ) -> StoredExchange:
        """Keep a person's version of the text and the mark beside the original answer.

        Args:
            stored: which exchange.
            text: the whole text; the model's own text, or ``None``, means that it is not edited.
            reviewed: whether the person marks it as reviewed.

        Raises:
            InputError: when the exchange is no longer in the scene.
        """
        node = self._find(stored)
        if node is None:
            raise InputError(_("This answer is no longer in the scene."))
        if text == stored.exchange.answer:
            text = None
        review = Review(text, reviewed, datetime.now(UTC).isoformat(timespec="seconds"))
        changed = with_review(node.GetText(), review)
        self._change(lambda: nodes.set_text(node, changed))
        return self._as_stored(node)

    def remove(self, stored: StoredExchange) -> None:
        """Remove an exchange with its nodes; nothing happens if it is gone already."""
        node = self._find(stored)
        if node is not None:
            self._change(lambda: nodes.remove_nodes(node))

    def observe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Be told whenever exchanges, or the volumes they are about, may have changed.

        Args:
            changed: called without arguments.

        Returns:
            A function that ends it.
        """
        self._listeners.append(changed)
        if self._watch is None:
            self._watch = Watch(self._scene, self._tell)

        def stop() -> None:
            if changed in self._listeners:
                self._listeners.remove(changed)

        return stop

    def close(self) -> None:
        """Observe the scene no longer."""
        self._listeners.clear()
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    def _change(self, work: Callable[[], Any]) -> Any:
        """Change the scene in one step: one for undo, and one for those who are told."""
        self._scene.SaveStateForUndo()
        self._quiet = True
        try:
            return work()
        finally:
            self._quiet = False
            self._tell()

    def _tell(self) -> None:
        if self._quiet:
            return
        for listener in tuple(self._listeners):
            listener()

    def _find(self, stored: StoredExchange) -> Any:
        node = self._scene.GetNodeByID(stored.node_id)
        if node is not None and node.GetAttribute(nodes.KEY) == stored.key:
            return node
        return None

    def _as_stored(self, node: Any) -> StoredExchange:
        text = node.GetText() or ""
        cached = self._read.get(node.GetID())
        if cached is None or cached[0] != text:
            cached = text, read_document(text)
            self._read[node.GetID()] = cached
        exchange, review = cached[1]
        volume = nodes.volume_of(node)
        return StoredExchange(
            key=node.GetAttribute(nodes.KEY) or "",
            node_id=node.GetID(),
            number=nodes.number_of(node),
            exchange=exchange,
            review=review,
            volume_id=None if volume is None else volume.GetID(),
            geometry=node.GetAttribute(nodes.GEOMETRY) or "",
            motion=motion(node.GetAttribute(nodes.GEOMETRY) or "", volume),
        )
