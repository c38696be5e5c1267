"""`python -m tests.fuzz`: mutated records through a real broker into the running service. Exit code 1 on a failure."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import orjson

from service.sandbox.broker.broker import open_broker
from service.settings import load_settings
from tests.fuzz.case import Case
from tests.fuzz.report import FuzzResult, save_failures, table
from tests.fuzz.run import Fuzz, FuzzPlan


@click.command()
@click.option("--records", default=100_000, show_default=True, help="How many records to send.")
@click.option("--seed", default=1, show_default=True, help="The same seed sends the same records.")
@click.option("--partitions", default=4, show_default=True, help="Partitions of every topic.")
@click.option("--only", help="Numbers of records of this seed, separated by commas: send these alone.")
@click.option("--without", default="", help="Kinds to leave out, separated by commas (see tests/fuzz/generator.py).")
@click.option(
    "--replay", type=click.Path(exists=True, path_type=Path), multiple=True, help="Saved records to send alone."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("fuzz-failures"),
    show_default=True,
    help="Where failing records are kept.",
)
@click.option("--keep", is_flag=True, help="Keep the logs also when nothing failed.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def main(
    records: int,
    seed: int,
    partitions: int,
    only: str | None,
    without: str,
    replay: Sequence[Path],
    out: Path,
    keep: bool,
    as_json: bool,
) -> None:
    """Send mutated records into the running service, and judge that each ends exactly once."""
    folder = Path(tempfile.mkdtemp(prefix=f"reelwire-fuzz-{seed}-"))
    cases = [Case.from_json(orjson.loads(file.read_bytes())["case"]) for file in replay]
    numbers = [int(part) for part in only.split(",")] if only else []
    plan = FuzzPlan(folder, seed=seed, records=records, partitions=partitions, only=numbers)
    plan = replace(plan, without=frozenset(without.split(",")))
    plan = replace(plan, cases=[replace(case, number=number) for number, case in enumerate(cases)])
    result = asyncio.run(_run(plan, out))
    if as_json:
        click.echo(orjson.dumps(result.as_json()))
    else:
        for line in table(result):
            click.echo(line)
    good = not result.failures and not result.limits
    if keep or not good:
        click.echo(f"logs: {folder}", err=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if good else 1)


async def _run(plan: FuzzPlan, out: Path) -> FuzzResult:
    def tell(text: str) -> None:
        click.echo(text, err=True)

    async with await open_broker(load_settings(), progress=tell) as broker:
        fuzz = Fuzz(plan, broker.bootstrap_servers, tell)
        result = await fuzz.run()
    for file in save_failures(result, fuzz.cases, out):
        tell(f"kept {file}")
    return result


if __name__ == "__main__":
    main()
