"""Standard output and error that fail: one line and exit code 1, silence for a closed pipe, and no more is lost."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from radlens.cli import commands as cli
from radlens.cli.streams import ClosedPipeError, OutputError, standard_streams

pytestmark = pytest.mark.skipif(os.name == "nt", reason="uses /dev/full and a POSIX shell")
RADLENS = f"{sys.executable} -c 'from radlens.cli.commands import main; main()'"
COMMANDS = ("--version", "--help", "predict --help", "cache", "push pneumonia-cxr a/b --dry-run")


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", "-c", line.replace("radlens", RADLENS, 1)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, encoding="utf-8", env={**os.environ, **environment}
    )


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("target", "reason"), [("> /dev/full", "No space left"), (">&-", "Bad file descriptor")])
def test_output_that_cannot_be_written_gives_one_line_and_exit_code_1(command: str, target: str, reason: str) -> None:
    if target == "> /dev/full" and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    done = shell(f"radlens {command} {target}")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: Standard output cannot be written to: {reason}")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_closed_pipe_is_passed_over_in_silence(command: str) -> None:
    # The reader is gone before the first letter.
    done = shell(f"radlens {command} | true; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stdout, done.stderr) == (141, "", "")


def test_predict_stops_when_nobody_reads_its_rows_and_leaves_its_file_whole(tmp_path: Path) -> None:
    from PIL import Image

    for number in range(3):
        Image.effect_noise((40, 40), 60).save(tmp_path / f"{number}.png")
    done = shell(f"radlens -q predict pneumonia-cxr {tmp_path} --format csv | true; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (141, "")
    out = tmp_path / "answers.csv"
    done = shell(f"radlens predict pneumonia-cxr {tmp_path} --out {out} >&- 2>&-")
    assert done.returncode == 0
    assert len(out.read_text(encoding="utf-8").splitlines()) == 4


def test_a_mistake_keeps_its_exit_code_where_standard_error_takes_nothing() -> None:
    for target in ("2> /dev/full", "2>&-", ">&- 2>&-"):
        done = shell(f"radlens predict no-such-model a.png {target}")
        assert (done.returncode, done.stdout, done.stderr) == (1, "", ""), target


def test_letters_that_the_encoding_lacks_are_written_as_escapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    with standard_streams():
        print("肺炎 │ é")  # noqa: T201
        import typer
        from rich.console import Console

        typer.echo("здоров")
        Console().print("結核")
        sys.stdout.flush()
    assert raw.getvalue().decode("ascii").splitlines() == [
        r"\u80ba\u708e \u2502 \xe9",
        r"\u0437\u0434\u043e\u0440\u043e\u0432",
        r"\u7d50\u6838",
    ]


def test_a_file_name_of_any_bytes_is_printed_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="utf-8"))
    with standard_streams():
        print(os.fsdecode(b"\xff\xfe.png"))  # noqa: T201
        sys.stdout.flush()
    assert raw.getvalue() == b"\xff\xfe.png\n"


class Full(io.TextIOWrapper):
    """A stream that takes nothing."""

    def __init__(self, number: int) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")
        self.number = number

    def write(self, text: str) -> int:
        """Refuse."""
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize(("number", "code"), [(28, 1), (5, 1), (32, 141)])
def test_a_failure_that_was_swallowed_still_decides_the_exit_code(
    number: int, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(**_: object) -> None:
        try:
            print("a table")  # noqa: T201
        except Exception:  # noqa: BLE001
            raise SystemExit(0) from None

    monkeypatch.setattr(cli, "app", work)
    monkeypatch.setattr(sys, "stdout", Full(number))
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == code
    assert ("Standard output cannot be written to" in capsys.readouterr().err) == (code == 1)


def test_messages_that_cannot_be_written_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Full(28))
    with standard_streams():
        assert sys.stderr.write("a message") == 9
    assert isinstance(sys.stderr, Full)


def test_a_closed_pipe_is_told_from_other_failures() -> None:
    assert issubclass(ClosedPipeError, OutputError)
    assert (ClosedPipeError.exit_code, OutputError.exit_code) == (141, 1)
