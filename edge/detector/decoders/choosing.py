"""From a manifest to the decoder of its layout, and to what the model is given beside the picture."""

from collections.abc import Callable
from typing import Any

import numpy as np

from edge.detector.decoders.decoder import Decoder
from edge.detector.decoders.distances import DistanceMapsDecoder, NanoDetPlusDecoder
from edge.detector.decoders.fastest import FastestDetDecoder
from edge.detector.decoders.listed import DetrDecoder, PicoDetNmsDecoder, TfSsdDecoder, YoloEnd2EndDecoder
from edge.detector.decoders.queries import RfDetrDecoder
from edge.detector.decoders.yolo import YoloV5Decoder, YoloV8Decoder, YoloxRawDecoder
from edge.detector.layouts import (
    Detr,
    FastestDet,
    NanoDet,
    NanoDetPlus,
    PicoDet,
    PicoDetNms,
    RfDetr,
    TfSsd,
    YoloEnd2End,
    YoloV5,
    YoloV8,
    YoloxRaw,
)
from edge.detector.manifest import InputSpec, ModelManifest
from edge.detector.runner import Feed, Tensor

_DECODERS: dict[type, Callable[[Any, InputSpec, int], Decoder]] = {
    YoloxRaw: YoloxRawDecoder,
    YoloV8: YoloV8Decoder,
    YoloV5: YoloV5Decoder,
    YoloEnd2End: lambda _layout, _spec, classes: YoloEnd2EndDecoder(classes),
    NanoDet: DistanceMapsDecoder,
    NanoDetPlus: NanoDetPlusDecoder,
    PicoDet: DistanceMapsDecoder,
    PicoDetNms: lambda _layout, _spec, classes: PicoDetNmsDecoder(classes),
    Detr: lambda _layout, _spec, classes: DetrDecoder(classes),
    RfDetr: RfDetrDecoder,
    TfSsd: TfSsdDecoder,
    FastestDet: FastestDetDecoder,
}


def decoder_of(manifest: ModelManifest) -> Decoder:
    """Return the decoder of the manifest's layout."""
    return _DECODERS[type(manifest.output)](manifest.output, manifest.input, len(manifest.labels))


def constant_feeds_of(manifest: ModelManifest) -> tuple[tuple[Feed, Tensor], ...]:
    """Return what the model is given beside the picture, the same for every frame.

    Sizes and scales are those of the input tensor itself, so that the model answers in its pixels.
    """
    output, spec = manifest.output, manifest.input
    if isinstance(output, Detr):
        sizes = np.array([[spec.width, spec.height]], dtype=output.sizes_dtype)
        return ((Feed("orig_target_sizes", (1, 2), output.sizes_dtype), sizes),)
    if isinstance(output, PicoDetNms) and output.scale_factor_input:
        return ((Feed("scale_factor", (1, 2), "float32"), np.ones((1, 2), dtype=np.float32)),)
    return ()
