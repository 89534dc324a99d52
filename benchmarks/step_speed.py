"""What each measure for speed gives: a training step of the preset ``fast`` as it is, and with one thing otherwise.

Each way runs in a process of its own, in turn, so that what the machine does meanwhile falls on all of them. ``first
step`` is what a way needs before it is up to speed: compiling, and making oneDNN's code.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from common import HERE, describe_machine, markdown_table, spread, write_between
from depthwise_speed import plainly
from torch import Tensor, nn
from torch._inductor import config as inductor_config
from torch.nn import functional
from train_speed import last_line

from radlens.config import resolve
from radlens.learning.allocator import keep_freed_memory
from radlens.learning.networks import build_network, efficientnet_lite, load_pretrained
from radlens.learning.trainer import training_precision

PAGE = HERE.parent / "docs" / "explanation" / "training-speed.md"


@dataclass(frozen=True)
class Way:
    """How a step is done.

    Attributes:
        bits: 16 for bfloat16.
        own_depthwise: depthwise convolutions go back as radlens has them.
        channels_last: the layout of images and weights.
        kept_memory: the allocator keeps what is freed.
        compiled: by torch.compile.
        frozen: so many of the 16 blocks, and the stem, do not learn.
        size: of the images, as a share of the preset's.
    """

    bits: int = 16 if training_precision(False, "efficientnet_lite0") == "bf16-mixed" else 32
    own_depthwise: bool = True
    channels_last: bool = True
    kept_memory: bool = True
    compiled: bool = False
    frozen: int = 0
    size: float = 1.0


WAYS = {
    "as it is": Way(),
    "in 32 bit": Way(bits=32),
    "PyTorch's own depthwise convolutions": Way(own_depthwise=False),
    "both": Way(bits=32, own_depthwise=False),
    "channels first": Way(channels_last=False),
    "default allocator": Way(kept_memory=False),
    "all four: ordinary PyTorch": Way(bits=32, own_depthwise=False, channels_last=False, kept_memory=False),
    "torch.compile": Way(compiled=True),
    "torch.compile, in 32 bit": Way(bits=32, compiled=True),
    "stem and 5 of 16 blocks frozen": Way(frozen=5),
    "images of .6 of the size": Way(size=0.6),
}


def prepared(way: Way) -> Callable[[], None]:
    """A training step."""
    settings = resolve("fast")
    if way.kept_memory:
        keep_freed_memory()
    if not way.own_depthwise:
        efficientnet_lite.depthwise = plainly  # type: ignore[attr-defined]
    network = build_network(settings.train.network, settings.preprocessing.shape, 1).train()
    load_pretrained(settings.train.network, network)
    layout = torch.channels_last if way.channels_last else torch.contiguous_format
    network.to(memory_format=layout)  # type: ignore[call-overload]
    if way.frozen:
        blocks = list(network.get_submodule("blocks").children())[: way.frozen]
        frozen = nn.ModuleList([network.get_submodule("stem"), *blocks])
        frozen.requires_grad_(False)
    side = round(settings.preprocessing.height * way.size)
    images = torch.randn(settings.train.batch_size, 1, side, side).contiguous(memory_format=layout)
    targets = torch.rand(len(images), 1).round()
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, settings.train.learning_rate, fused=True)
    answer: Callable[[Tensor], Tensor] = network
    if way.compiled:
        # What an earlier process compiled is not taken.
        inductor_config.force_disable_caches = True
        answer = torch.compile(network)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=way.bits == 16):
            logits = answer(images)
        functional.binary_cross_entropy_with_logits(logits.float(), targets).backward()
        optimizer.step()

    return step


def measure(way: Way, repeats: int) -> dict[str, float]:
    """Seconds of the first step, and milliseconds of the others in the median."""
    step, seen = prepared(way), []
    for _ in range(repeats + 3):
        started = time.perf_counter()
        step()
        seen.append(time.perf_counter() - started)
    return {"first": seen[0], "step": 1e3 * statistics.median(seen[3:])}


def main() -> None:
    """Print a table and put it into the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--measure", choices=list(WAYS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(WAYS[options.measure], options.repeats)))
        return
    print(describe_machine())
    script = str(Path(__file__))
    rounds = [
        {name: last_line(script, "--measure", name, "--repeats", str(options.repeats)) for name in WAYS}
        for _ in range(options.rounds)
    ]
    rows = []
    for name in WAYS:
        steps, first = ([one[name][what] for one in rounds] for what in ("step", "first"))
        ratios = [one[name]["step"] / one["as it is"]["step"] for one in rounds]
        rows.append([name, spread(steps, 0), spread(ratios, 2), spread(first, 1)])
    header = ["a step of `fast`, batch 32", "ms, median [min, max] of the rounds", "times as long", "first step (s)"]
    table = markdown_table(header, rows)
    print(table)
    write_between(PAGE, "step", table)


if __name__ == "__main__":
    main()
