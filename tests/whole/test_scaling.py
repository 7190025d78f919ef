"""The page docs/scaling.md: what its script computes from measured constants."""

import importlib.util
import json
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parents[2]


@pytest.fixture
def scaling():
    """The script docs/scaling.py as a module."""
    spec = importlib.util.spec_from_file_location("scaling", HOME / "docs" / "scaling.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measured(second=lambda n: 0.001 * 2.0**n, label=0.5):
    """Returns constants of a machine that takes twice as long for each variable more."""
    sizes = [
        {
            "n": n,
            "samples": 50,
            "seconds_per_sample": second(n),
            "bytes_per_sample": 30.0 * 2**n,
            "label_seconds_per_epoch": label,
            "label_bytes_per_epoch": 50_000,
        }
        for n in (6, 8, 10, 12)
    ]
    return {
        "sweep": {"n": sizes, "per_unit": 0.1, "fixed": 0.2, "worst_residual": 0.03},
        "engines": {
            "n": 10,
            "speedup": {"processes": 1.8, "dask": 1.6},
            "dask_overhead": 0.03,
            "dask_overhead_without_start": 0.01,
            "start": {"processes, 1": 1.0, "processes, 2": 1.5, "dask, 2": 4.0},
            "driver_seconds_per_unit": 0.004,
            "rows": [{"engine": "processes", "workers": 1, "units": 8, "unit_seconds": 4.9}],
        },
        "machine": {"cores": 2, "processor": "x86_64"},
    }


def test_extrapolation_of_an_exact_power_its_longest_stage_and_memory_in_words(scaling):
    found = scaling.computed(measured())
    count = 1000 * 16 * 10_000
    assert found["growth"] == pytest.approx(2) and found["second"] == pytest.approx(0.001 * 2**16)
    assert found["core_hours"] == pytest.approx(count * 65.536 / 3600)
    assert found["days"] == pytest.approx(count * 65.536 / (64 * 0.8) / 86400)
    assert found["bytes"] == pytest.approx(count * 30 * 2**16)
    assert found["label_days"] == pytest.approx(count * 0.01 / 86400)
    assert "computing, on 64 workers" in scaling.bottleneck(found)
    found = scaling.computed(measured(second=lambda n: 1e-6 * 2.0**n, label=50.0))
    assert "labelling, one epoch after the other" in scaling.bottleneck(found)
    found = scaling.computed(measured())["label_memory"]
    assert found == pytest.approx(2**16 * 8 * (25 * 5 + 2 * 402) + 10_000 * 0.11e6)
    text = " ".join(scaling.text(measured()).split())
    assert "| memory to label one epoch, about | 1.6 GB |" in text and "one unit at a time" in text
    lines = scaling.text(measured()).splitlines()
    assert max(len(line) for line in lines if not line.startswith("|")) <= 120
    assert "| 12 | 4096.0 | 122.9 | 10.0 | 1.00 |" in lines


READERS = {
    "salient_rows_loaded": 10_000_000,
    "load_s": 9.5,
    "readers": 3,
    "reads": 1234,
    "errors": [],
    "p50_ms": 12.5,
    "p95_ms": 80,
    "bars": {
        "errors": {"value": 0, "bar": 0, "verdict": "PASS"},
        "p95_ms": {"value": 80, "bar": 500, "verdict": "PASS"},
    },
}
SERVED = {
    "run": "many",
    "salient_rows": 100_000_000,
    "bytes_of_labels": 2_500_000_000,
    "tables": {"interactions": {"bytes_a_row": 10.5}},
    "bytes_of_sealed_file": 3_000_000_000,
    "seal_s": 90.5,
    "load_s": 0.7,
    "load_from_labels_s": 4.2,
    "pages": {"bars": {"next page": {"value": 0.5, "bar": 1.0, "verdict": "PASS"}}},
}


@pytest.mark.parametrize("parts", ["both", "readers", "served", "none"])
def test_many_rows_are_told_as_far_as_they_were_measured(scaling, parts, tmp_path, monkeypatch):
    monkeypatch.setattr(scaling, "RESULTS", tmp_path)
    many = {"both": SERVED | {"readers during a load": READERS}, "readers": {"readers during a load": READERS}}
    if parts != "none":
        (tmp_path / "many_rows.json").write_text(json.dumps({**many, "served": SERVED}[parts]))
    page = " ".join(scaling.text(measured()).split())
    assert ("100,000,000 salient interactions in 2.50 GB of labels, 10.5 bytes" in page) == (
        parts in ("both", "served")
    )
    assert ("takes 30.0 more, and 90.5 s to write. Opening takes 0.7 s from that file, 4.2 s from" in page) == (
        parts in ("both", "served")
    )
    assert ("1,234 reads, 0 errors, p50 12.5 ms, p95 80 ms (bar 500)" in page) == (parts in ("both", "readers"))


def test_the_page_is_fresh(scaling):
    results = HOME / "benchmarks" / "results" / "scale.json"
    if not results.exists():
        pytest.skip("not measured yet")
    assert scaling.PAGE.read_text(encoding="utf-8") == scaling.text(json.loads(results.read_text())), (
        "stale: run `.venv/bin/python docs/scaling.py`"
    )
