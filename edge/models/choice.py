"""What the owner says about models: the table ``[model]`` of ``cairn.toml``."""

from typing import Annotated

from msgspec import Meta, Struct

from edge.models.errors import ModelError
from protocol.errors import MalformedError
from protocol.identity import PublicKey


class ModelSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to look for, and whose models to believe."""

    name: str = "yolox-nano"  # a name in the model store, or the path of an .onnx file: the owner's own word
    threads: Annotated[int, Meta(ge=0, le=64)] = 1  # 0: all cores but one
    runner: str = ""  # what runs it, in the place of what its manifest says
    runner_fallback: bool = False  # whether ONNX Runtime may stand in for a runner that cannot work here
    classes: tuple[str, ...] = ("person", "bicycle", "car", "motorcycle", "bus", "truck")  # empty: all
    publishers: tuple[str, ...] = ()  # did:key of those whose signature on a model from elsewhere counts
    signatures_required: Annotated[int, Meta(ge=1, le=8)] = 1  # of how many of them
    follow_hub: bool = True  # take the models that the hub offers, if they are so signed
    hub_url: str = ""  # http(s)://HOST:PORT of the hub's pages, where it keeps the models it offers
    max_frame_ms: Annotated[int, Meta(ge=1, le=60_000)] = 2_000  # a slower model is sent back
    probation_s: Annotated[int, Meta(ge=1, le=86_400)] = 600  # of a new model, at work

    def publisher_keys(self) -> frozenset[PublicKey]:
        """Return the keys of the publishers.

        Raises:
            ModelError: one is not a did:key, or more signatures are required than there are publishers.
        """
        try:
            keys = frozenset(PublicKey.parse(text) for text in self.publishers)
        except MalformedError as error:
            raise ModelError(f"[model] publishers: {error}: copy it from the publisher") from error
        if keys and len(keys) < self.signatures_required:
            raise ModelError(
                f"[model] signatures_required = {self.signatures_required}, but there are {len(keys)} publishers"
            )
        return keys
