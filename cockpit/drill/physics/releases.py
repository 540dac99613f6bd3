"""Tells images apart by what their pods do, and rolls new ones out as a release pipeline does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from cockpit.drill import changes

if TYPE_CHECKING:
    from cockpit.drill.kubernetes import KubernetesWorld

#: The canonical form of a payload that is hashed and signed, on a calm day.
HASHING = "v1"


@dataclass(frozen=True, slots=True)
class Traits:
    """Describes how an image differs from that of a calm day.

    `stray_keys`: signer agents open another key ring than the one in the registry.

    `rewrites`: a gateway serves the outcomes of a bundle as other numbers than were signed.

    `forgets`: so many sequences that it has used a submitter uses again after its start.

    `signs`: agents sign another message than the bundle's: "format" (of another layout) or
    "sequence" (with the one before).

    `hashing`: the canonical form that submitter and agents hash; they must agree. `delay_s`: the
    engine hands its outputs on so much later, `malformed`: the share of them that the submitter's
    check rejects. `leaks_after_s`: a container is killed for its memory after so long.
    """

    stray_keys: bool = False
    signs: str = ""
    forgets: int = 0
    rewrites: bool = False
    hashing: str = HASHING
    delay_s: float = 0.0
    malformed: float = 0.0
    leaks_after_s: float | None = None


USUAL = Traits()


class Releases:
    """Maps images to their traits.

    What was never rolled out here is as on a calm day.
    """

    def __init__(self) -> None:
        self._known: dict[str, Traits] = {}

    def of(self, image: str) -> Traits:
        return self._known.get(image, USUAL)

    def roll_out(self, kube: KubernetesWorld, service: str, version: str, traits: Traits = USUAL) -> str:
        """Roll out a new image, by digest, over the one that runs, as a release pipeline does.

        Returns the image.
        """
        # Imported here: listing the scenarios does without the cluster's code.
        image = image_of(service, version)
        self._known[image] = traits
        changes.set_image(kube, service, image)
        return image


def image_of(service: str, version: str) -> str:
    return f"ghcr.io/m0club/{service}@sha256:{sha256(f'{service} {version}'.encode()).hexdigest()}"


def memory_of(config: Mapping[str, str]) -> float:
    """Return how many times the usual batch the engine works on at once.

    The ConfigMap's `feature_batch` says so.
    """
    try:
        return max(1.0, float(config.get(BATCH, USUAL_BATCH)) / float(USUAL_BATCH))
    except ValueError:
        return 1.0


BATCH, USUAL_BATCH = "feature_batch", "16"
BATCH_DELAY_S = 0.4  # for each time the usual batch beyond the first
BATCH_MALFORMED = 0.003  # likewise, of the outputs: a batch that straddles two epochs has no valid payload
