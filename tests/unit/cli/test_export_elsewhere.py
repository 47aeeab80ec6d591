"""`pitstop export prometheus`, `grafana` and `prometheus-rules`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_prometheus_prints_text_that_others_read(pitstop: Any, insides_url: str, tmp_path: Path) -> None:
    ran = pitstop("export", "prometheus", "--store", insides_url)
    assert ran.code == 0
    names = {family.name for family in parse_text(ran.out)}
    assert {"http_server_request_duration_seconds", "pitstop_store_up", "pitstop_build_info"} <= names
    path = tmp_path / "metrics.om"
    assert pitstop("export", "prometheus", "--form", "openmetrics", "--store", insides_url, "-o", str(path)).code == 0
    assert names - {family.name for family in parse_openmetrics(path.read_text())} == set()


def test_grafana_writes_a_file_a_dashboard(pitstop: Any, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    ran = pitstop("export", "grafana", "--output", str(folder))
    assert ran.code == 0
    files = sorted(folder.iterdir())
    assert [str(file) for file in files] == ran.out.split()
    assert all(json.loads(file.read_text())["uid"] == file.stem for file in files)
    (tmp_path / "taken").write_text("")
    refused = pitstop("export", "grafana", "--output", str(tmp_path / "taken"))
    assert refused.code == 2
    assert "choose another --output" in refused.err


def test_prometheus_rules_are_those_of_the_file_and_the_defaults(
    pitstop: Any, insides_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nname = "slow"\nkind = "threshold"\nmetric = "p95"\nabove = "1s"\n')
    monkeypatch.setenv("PITSTOP_RULES", str(rules))
    path = tmp_path / "rules.yml"
    assert pitstop("export", "prometheus-rules", "--store", insides_url, "-o", str(path)).code == 0
    text = path.read_text()
    assert 'alert: "slow"' in text
    assert 'alert: "error budget burns fast"' in text
    assert 'alert: "Pitstop is gone"' in text


def test_a_store_that_is_not_there_is_said(pitstop: Any, tmp_path: Path) -> None:
    for what in ("prometheus", "prometheus-rules"):
        path = tmp_path / "out"
        assert pitstop("export", what, "--store", f"sqlite:///{tmp_path}/none.db", "-o", str(path)).code == 2
        assert not path.exists()
        assert not (tmp_path / "none.totals.db").exists()
