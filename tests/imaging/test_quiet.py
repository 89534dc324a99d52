"""pydicom is silent while a file is read, in every thread, and only then."""

from __future__ import annotations

import logging
import threading
import warnings

import pytest
from pydicom.dataelem import DataElement
from pydicom.valuerep import VR

from radlens.imaging.quiet import quiet_pydicom


def provoke() -> None:
    """Make pydicom speak of a value."""
    DataElement(0x00100030, VR.DA, "Euphemia")


def spoken(caplog: pytest.LogCaptureFixture) -> list[str]:
    said = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return said


def test_pydicom_speaks_outside_and_not_inside(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        provoke()
        assert len(caught) == 1
        assert "Euphemia" in spoken(caplog)[0]
        with quiet_pydicom():
            provoke()
            with quiet_pydicom():
                provoke()
            provoke()
        assert (len(caught), spoken(caplog)) == (1, [])
        provoke()
        assert (len(caught), len(spoken(caplog))) == (2, 1)


def test_an_error_inside_ends_the_silence(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ZeroDivisionError), quiet_pydicom():
        raise ZeroDivisionError
    with pytest.warns(UserWarning, match="Euphemia"):
        provoke()


def test_others_may_warn_meanwhile() -> None:
    with quiet_pydicom(), pytest.warns(UserWarning, match="of mine"):
        warnings.warn("a warning of mine", stacklevel=1)


def test_threads_that_come_and_go_are_all_silent_and_leave_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        started = threading.Barrier(8)

        def read(number: int) -> None:
            started.wait()
            for turn in range(50):
                with quiet_pydicom():
                    provoke()
                    if (turn + number) % 7 == 0:
                        threading.Event().wait(0.001)
                    provoke()

        threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (caught, spoken(caplog)) == ([], [])
        assert list(warnings.filters) == before
        assert logging.getLogger("pydicom").filters == []
        provoke()
        assert (len(caught), len(spoken(caplog))) == (1, 1)


def test_another_threads_log_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), quiet_pydicom():
        other = threading.Thread(target=logging.getLogger("pydicom").warning, args=("from elsewhere",))
        other.start()
        other.join()
    assert spoken(caplog) == ["from elsewhere"]
