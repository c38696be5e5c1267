"""The settings of a pod as its program reads them, out of a rendered ConfigMap and the files that it mounts."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from service.settings import Settings, load_settings
from tests.deploy.chart import Manifest, component_of, of_kind, one

NOT_A_SECRET = "not-a-real-secret-of-more-than-32-characters"


def config_of(name: str, component: str = "service") -> Manifest:
    """The ConfigMap of a component's pods."""
    [config] = [
        found
        for found in of_kind(name, "ConfigMap")
        if "reelwire.toml" in found["data"] and component_of(found) == component
    ]
    return config


def toml_of(name: str, component: str = "service") -> dict[str, Any]:
    """What is in its `reelwire.toml`."""
    return tomllib.loads(config_of(name, component)["data"]["reelwire.toml"])


def settings_of(name: str, component: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Its settings, as they are loaded. Every file that they name must be below a mount; it holds `NOT_A_SECRET`."""
    content = toml_of(name, component)
    pod = one(name, "Deployment", component)["spec"]["template"]["spec"]
    mounts = [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]]
    for section in content.values():
        for member, path in section.items():
            if member.endswith(("_file", "cafile", "certfile", "keyfile")):
                assert any(path.startswith(f"{mount}/") for mount in mounts), path
                local = folder / path.lstrip("/")
                local.parent.mkdir(parents=True, exist_ok=True)
                local.write_text(NOT_A_SECRET, encoding="utf-8")
    text = "\n".join(
        f"[{section}]\n" + "\n".join(f"{key} = {json.dumps(_moved(value, folder))}" for key, value in members.items())
        for section, members in content.items()
    )
    (folder / "reelwire.toml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("REELWIRE_CONFIG", str(folder / "reelwire.toml"))
    return load_settings()


def _moved(value: Any, folder: Path) -> Any:
    return f"{folder}{value}" if isinstance(value, str) and value.startswith(("/etc/", "/mnt/")) else value
