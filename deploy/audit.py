"""`make audit`: known weaknesses of what is pinned, by pip-audit. What could not be looked up is never called clean.

Exit code 0: every package was looked up and nothing is known. 1: something is known. 3: the service that knows can't be
reached, or did not answer for some packages.

The service is OSV (https://api.osv.dev/v1/query), or a mirror of it that AUDIT_OSV_URL names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
OSV = "https://api.osv.dev/v1/query"
CLEAN, WEAK, UNKNOWN = 0, 1, 3
_SECONDS = "15"


def judge(report: dict[str, Any], shipped: str) -> tuple[int, list[str]]:
    """The exit code and the lines to print, for what pip-audit says; `shipped` is the text of requirements/run.txt."""
    weak, skipped, looked_up = [], [], 0
    for package in report["dependencies"]:
        if "skip_reason" in package:
            skipped.append(package["name"])
            continue
        looked_up += 1
        where = "in the image" if f"\n{package['name']}==" in f"\n{shipped}" else "for development"
        for known in package.get("vulns", []):
            names = ", ".join([known["id"], *known.get("aliases", [])])
            fixed = f"fixed in {', '.join(known['fix_versions'])}" if known.get("fix_versions") else "no fix is known"
            weak.append(f"{package['name']} {package['version']} ({where}): {names}; {fixed}")
    if weak:
        return WEAK, weak
    if skipped or not looked_up:
        named = ", ".join(skipped[:5]) + (", …" if len(skipped) > 5 else "")
        return UNKNOWN, [
            f"not audited: {len(skipped)} of {len(skipped) + looked_up} packages were not looked up: {named}"
        ]
    return CLEAN, [f"{looked_up} packages were looked up; no weakness is known"]


def main(requirements: list[str]) -> int:
    """Audit these files, or all that is pinned."""
    url = os.environ.get("AUDIT_OSV_URL", OSV)
    files = requirements or [str(ROOT / "requirements/dev.txt")]
    pip_audit = Path(sys.executable).parent / "pip-audit"
    command = [str(pip_audit), "--vulnerability-service", "osv", "--osv-url", url, "--disable-pip", "--format", "json"]
    command += ["--progress-spinner", "off", "--timeout", _SECONDS, *(part for file in files for part in ("-r", file))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)
    except json.JSONDecodeError:
        last = done.stderr.strip().splitlines()[-1:]
        sys.stderr.write(
            f"not audited: {url} can't be reached, or does not answer as OSV does; nothing was looked up\n"
            f"run it where it can be reached, or name a mirror with AUDIT_OSV_URL\n{''.join(last)[:500]}\n"
        )
        return UNKNOWN
    code, lines = judge(report, (ROOT / "requirements/run.txt").read_text(encoding="utf-8"))
    (sys.stdout if code == CLEAN else sys.stderr).write("".join(f"{line}\n" for line in lines))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
