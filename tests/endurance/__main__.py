"""`python -m tests.endurance`: a day of traffic in an hour. Exit code 1 when something grows or a promise is broken."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

import click
import orjson

from tests.endurance.run import Day, DayPlan, DayResult
from tests.endurance.samples import draw, save


@click.command()
@click.option("--minutes", default=60.0, show_default=True, help="How long the day takes.")
@click.option("--seed", default=1, show_default=True, help="The same seed sends the same requests.")
@click.option("--density", default=1.0, show_default=True, help="0.1 sends a tenth of the requests.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("build/endurance"), show_default=True)
@click.option("--keep", is_flag=True, help="Keep the logs also when all was well.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def main(minutes: float, seed: int, density: float, out: Path, keep: bool, as_json: bool) -> None:
    """A day of requests in an hour, with deploys, crashes and an upgrade of the broker: does anything grow?"""
    folder = Path(tempfile.mkdtemp(prefix="reelwire-endurance-"))
    plan = DayPlan(folder, seed=seed, minutes=minutes, density=density)
    result = asyncio.run(Day(plan, lambda text: click.echo(text, err=True)).run())
    out.mkdir(parents=True, exist_ok=True)
    save(result.samples, out / "samples.csv")
    draw(result.samples, out / "endurance.png")
    good = not result.broken and all(growth.flat for growth in result.growths)
    click.echo(orjson.dumps(_as_json(result)) if as_json else _words(result))
    click.echo(f"figures and picture: {out}", err=True)
    if keep or not good:
        click.echo(f"logs: {folder}", err=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if good else 1)


def _words(result: DayResult) -> str:
    ends = ", ".join(f"{count} {name}" for name, count in result.ends.most_common())
    return "\n".join(
        [
            f"{result.sent} records, {result.fragments} fragments; ended: {ends}",
            f"{result.deploys} deploys, {result.crashes} crashes; {result.begun} analyses begun, "
            f"{result.interrupted} attempts cut off by crashes",
            *(str(growth) for growth in result.growths),
            *result.broken[:50],
            f"{len(result.broken)} broken promises",
        ]
    )


def _as_json(result: DayResult) -> dict[str, object]:
    return {
        "sent": result.sent,
        "fragments": result.fragments,
        "ends": dict(result.ends),
        "deploys": result.deploys,
        "crashes": result.crashes,
        "begun": result.begun,
        "interrupted": result.interrupted,
        "growths": [
            {"name": one.name, "first": one.first, "second": one.second, "flat": one.flat} for one in result.growths
        ],
        "broken": result.broken,
    }


if __name__ == "__main__":
    main()
