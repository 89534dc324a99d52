"""A network as a file of the ONNX form, run by onnxruntime on the processor."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from radlens.base.errors import DataError, RadlensError
from radlens.runtime.answers import Outputs

_INPUT = "pixels"
# An input that may be left out: whether the map is made.
SWITCH = "with_cam"
# The quickest for each image: what more of them need between two layers no longer fits the processor's cache.
IMAGES_AT_ONCE = 4


class OnnxNetwork:
    """From stored pixels to named outputs; any number of threads may run it at once.

    Args:
        path: the file; its input ``pixels`` is uint8, shape (batch, channels, height, width).
        shape: channels, height and width that the pixels will have.
        threads: processor cores that one run uses; with several, the network is in memory twice once a run has more
            images than are computed at once.

    Raises:
        DataError: the file is not a network of this form, or takes other pixels.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int], threads: int = 1) -> None:
        self._path, self._threads = path, threads
        self._session = self._open(threads)
        inputs = {entry.name: entry for entry in self._session.get_inputs()}
        if set(inputs) != {_INPUT} or inputs[_INPUT].type != "tensor(uint8)":
            raise DataError(f"{path} takes {', '.join(sorted(inputs))}; one input {_INPUT} of uint8 was expected.")
        if tuple(inputs[_INPUT].shape[1:]) != shape:
            raise DataError(f"{path} takes pixels of shape {inputs[_INPUT].shape[1:]}; config.json says {list(shape)}.")
        self.outputs = frozenset(entry.name for entry in self._session.get_outputs())

    def run(self, pixels: npt.NDArray[np.uint8], wanted: Sequence[str]) -> Outputs:
        """The wanted outputs, each with one row an image.

        A few images are computed at once by all cores together; of more, each core takes a few at a time.

        Raises:
            RadlensError: the runtime failed, such as for lack of memory.
        """
        if len(pixels) <= IMAGES_AT_ONCE:
            return _compute(self._session, pixels, wanted)
        parts = [pixels[start : start + IMAGES_AT_ONCE] for start in range(0, len(pixels), IMAGES_AT_ONCE)]
        if self._threads == 1:
            results = [_compute(self._session, part, wanted) for part in parts]
        else:
            with ThreadPoolExecutor(self._threads) as pool:
                results = list(pool.map(lambda part: _compute(self._for_one_core, part, wanted), parts))
        return {name: np.concatenate([outputs[name] for outputs in results]) for name in wanted}

    @cached_property
    def _for_one_core(self) -> onnxruntime.InferenceSession:
        return self._open(1)

    def _open(self, threads: int) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # Threads that wait busily take the cores from those that decode.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Warnings of how a graph could be better are for those who write it.
        options.log_severity_level = 3
        try:
            return onnxruntime.InferenceSession(str(self._path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            # The runtime has an exception of its own for each kind of damage.
            raise DataError(f"{self._path} cannot be run as an ONNX network: {_first_line(error)}") from error


def _compute(session: onnxruntime.InferenceSession, pixels: npt.NDArray[np.uint8], wanted: Sequence[str]) -> Outputs:
    feed: dict[str, Any] = {_INPUT: np.ascontiguousarray(pixels), **switch(session, on="cam" in wanted)}
    try:
        results = session.run(list(wanted), feed)
    except Exception as error:
        raise RadlensError(f"The network failed on {len(pixels)} image(s): {_first_line(error)}") from error
    return dict(zip(wanted, results, strict=True))


def switch(session: onnxruntime.InferenceSession, *, on: bool) -> dict[str, npt.NDArray[np.bool_]]:
    """What a session must be given so that it makes the map or leaves it; nothing where it has no choice."""
    has_choice = any(entry.name == SWITCH for entry in session.get_overridable_initializers())
    return {SWITCH: np.array(on)} if has_choice else {}


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
