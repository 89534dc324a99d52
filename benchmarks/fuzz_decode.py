"""Coverage-guided fuzzing of the decoders: nothing but ``DecodeError`` may escape, and memory must stay bounded.

Each input goes from bytes to pixels by ``read_pixels`` under narrow limits, with a contract chosen by the input. A
finding is an input at which another exception escapes, the pixels break the contract or differ the second time, one
call takes more memory or time than its limits can explain, or the process dies. Its bytes and traceback are saved,
and the exit code is 1.

The Python code of radlens.imaging and Pillow guides the search; the C libraries (libjpeg, libtiff,
libwebp, zlib, OpenJPEG, CharLS) run as they are installed, without instrumentation or sanitizers: they are
exercised, and a crash in them is found, but their branches do not guide.

    python benchmarks/fuzz_decode.py --minutes 10
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
import zlib
from collections import Counter, deque
from pathlib import Path
from typing import Any

MEGABYTE = 2**20
# What one call may add to the peak: inputs of 64 KiB may come to 4 MiB, which decoders hold several times.
ALLOWED_GROWTH = 96 * MEGABYTE
ALLOWED_SECONDS = 10
REPEATED = 32


class Target:
    """What is called with each input, and what it has seen."""

    def __init__(self, findings: Path, report: Path) -> None:
        from radlens.imaging.limits import DecodeError, DecodeLimits
        from radlens.imaging.pixels import read_pixels
        from radlens.imaging.preprocess import Preprocessing

        self.read_pixels, self.refusal = read_pixels, DecodeError
        self.limits = DecodeLimits(max_bytes=65_536, max_pixels=250_000, max_inflated=4 * MEGABYTE)
        self.contracts = [
            Preprocessing(height=8, width=8),
            Preprocessing(height=12, width=8, fit="pad", channels=3, depth="full"),
            Preprocessing(height=8, width=16, fit="crop", resample="lanczos", depth="range"),
            Preprocessing(height=16, width=8, fit="pad", channels=1),
        ]
        self.findings, self.report = findings, report
        self.counts: Counter[str] = Counter()
        self.seen: set[str] = set()
        self.started = self.written = time.monotonic()
        self.peak = self.first_peak = peak_bytes()

    def __call__(self, content: bytes) -> None:
        """Run one input."""
        contract = self.contracts[zlib.crc32(content) % len(self.contracts)]
        before = time.monotonic()
        self.counts["executions"] += 1
        try:
            pixels, facts = self.read_pixels("x", contract, self.limits, content)
            self.counts[f"decoded {facts.format}"] += 1
            assert pixels.shape == contract.shape, "the pixels break the contract"
            assert 0 <= facts.mean <= 255, "the facts are out of range"
            if self.counts["executions"] % REPEATED == 0:
                again, _ = self.read_pixels("x", contract, self.limits, content)
                assert (again == pixels).all(), "another picture the second time"
        except self.refusal:
            self.counts["refused"] += 1
        except Exception as error:  # noqa: BLE001 - whatever escapes is what we are after
            self.save(content, "".join(traceback.format_exception(error)), _place(error))
        self.judge(content, time.monotonic() - before)

    def judge(self, content: bytes, seconds: float) -> None:
        """Memory and time of the last call; now and then the report."""
        peak = peak_bytes()
        if peak > self.peak:
            if peak - self.peak > ALLOWED_GROWTH:
                grown = (peak - self.peak) / MEGABYTE
                self.save(content, f"one call added {grown:.0f} MiB to the peak", f"memory {grown:.0f}")
            self.peak = peak
        if seconds > ALLOWED_SECONDS:
            self.save(content, f"one call took {seconds:.1f} s", "time")
        if time.monotonic() - self.written > 1:
            self.write_report()

    def save(self, content: bytes, text: str, key: str) -> None:
        """Keep the first input of each distinct finding."""
        self.counts["findings, with repetitions"] += 1
        if key not in self.seen:
            self.seen.add(key)
            name = hashlib.sha256(key.encode()).hexdigest()[:12]
            (self.findings / f"{name}.bin").write_bytes(content)
            (self.findings / f"{name}.txt").write_text(f"{key}\n{len(content)} bytes: {content.hex()}\n{text}")

    def write_report(self) -> None:
        """What the parent process adds up."""
        self.written = time.monotonic()
        state = {"counts": self.counts, "peak": self.peak, "first_peak": self.first_peak, "now": resident_bytes()}
        self.report.write_text(json.dumps(state))


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} " + " < ".join(f"{Path(one.filename).name}:{one.lineno}" for one in frames[:-4:-1])


def peak_bytes() -> int:
    """Most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def resident_bytes() -> int:
    """Memory that this process holds now."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return peak_bytes()


def fuzz(folder: Path, findings: Path, report: Path, seconds: int, seed: int) -> None:
    """Fuzz in this process; does not return."""
    import atheris
    import numpy  # noqa: F401 - imported before the instrumentation, which it needs none of
    from fuzz_seeds import mutated

    with atheris.instrument_imports(include=["radlens.imaging", "PIL"]):
        from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin  # noqa: F401

        import radlens.imaging.dicom.picture
        import radlens.imaging.pixels  # noqa: F401
    warnings.simplefilter("ignore")
    target = Target(findings, report)
    options = [
        f"-max_total_time={seconds}",
        "-max_len=16384",
        "-len_control=0",
        "-timeout=60",
        "-rss_limit_mb=2048",
        f"-artifact_prefix={findings}/",
        f"-seed={seed}",
        "-verbosity=0",
        "-print_final_stats=0",
    ]

    def mutate(content: bytes, limit: int, number: int) -> bytes:
        return mutated(content, limit, number, lambda data, most: atheris.Mutate(data, most))

    atheris.Setup([sys.argv[0], *options, str(folder)], target, custom_mutator=mutate)
    atheris.Fuzz()


def run_child(arguments: list[str]) -> tuple[int, str]:
    """One fuzzing process; its exit code and the last it said."""
    last: deque[bytes] = deque(maxlen=60)
    process = subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    reader = threading.Thread(target=last.extend, args=(process.stdout,))
    reader.start()
    code = process.wait()
    reader.join()
    return code, b"".join(last).decode(errors="replace")


def campaign(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Processes one after the other until the time is over; a new one where one died."""
    from fuzz_seeds import dicoms, pictures

    corpus = work / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    seeds = pictures() | dicoms()
    for name, content in seeds.items():
        (corpus / f"seed-{name}").write_bytes(content)
    options.findings.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * options.minutes
    total: dict[str, Any] = {"counts": Counter(), "peak": 0, "deaths": 0, "seeds": len(seeds), "growth": 0}
    while (left := int(end - time.monotonic())) > 2:
        report = work / "report.json"
        report.unlink(missing_ok=True)
        child = [
            "--child",
            str(corpus),
            str(options.findings),
            str(report),
            str(left),
            str(options.seed + total["deaths"]),
        ]
        code, said = run_child(child)
        if report.exists():
            state = json.loads(report.read_text())
            total["counts"].update(state["counts"])
            total["peak"] = max(total["peak"], state["peak"])
            total["growth"] = max(total["growth"], state["peak"] - state["first_peak"])
        if code:
            total["deaths"] += 1
            (options.findings / f"death-{total['deaths']}.txt").write_text(f"exit code {code}\n{said}")
            if not report.exists():
                raise SystemExit(f"The fuzzer does not start:\n{said}")
    return total


def main() -> None:
    """Fuzz for a while and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--findings", type=Path, default=Path("build/fuzz-findings"), help="where findings are saved")
    parser.add_argument("--corpus", type=Path, help="folder whose corpus is kept and grown from run to run")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        corpus, findings, report, seconds, seed = options.child
        fuzz(Path(corpus), Path(findings), Path(report), int(seconds), int(seed))
    before = {path.name for path in options.findings.glob("*")}
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        total = campaign(options, options.corpus or Path(folder))
    seconds = time.monotonic() - started
    executions = total["counts"].pop("executions", 0)
    found = sorted(path.name for path in options.findings.glob("*.txt") if path.name not in before)
    print(f"seeds: {total['seeds']}")
    print(f"executions: {executions:,} in {seconds:,.0f} s, {executions / seconds:,.0f} a second")
    print("of these: " + ", ".join(f"{name}: {count:,}" for name, count in sorted(total["counts"].items())))
    print(
        f"peak memory: {total['peak'] / MEGABYTE:,.0f} MiB, {total['growth'] / MEGABYTE:,.0f} MiB above the beginning"
    )
    print(f"distinct findings: {len(found)} (processes that died: {total['deaths']})")
    for name in found:
        print(f"  {options.findings / name}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
