"""Apache Kafka as a local process: the JVM comes from a Python wheel, the jars from the Maven cache."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from service.sandbox.addresses import HOST, free_ports, is_free
from service.sandbox.broker.jars import Jar, MavenSource, Progress, class_path, kafka_version, read_list
from service.sandbox.broker.java import Java, cache_folder
from service.sandbox.broker.node import Listeners, as_properties, node_settings
from service.sandbox.broker.readiness import wait_until_it_answers
from service.sandbox.errors import BrokerError, PortError
from service.sandbox.lifetime import Startable
from service.settings import KafkaSettings

_GUARD = Path(__file__).parents[1] / "guard.py"
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_RECORDING_STOP_SECONDS = 90.0
_START_ATTEMPTS = 3
_TAIL_LINES = 25


class LocalBroker(Startable):
    """One combined KRaft node on 127.0.0.1.

    Keeps its port and its data over `restart` and `kill` + `start`. Without a `data_dir` the data is in a temporary
    folder that `stop` removes. The process is bound to no event loop, and dies with the process that started it.
    """

    def __init__(
        self,
        *,
        data_dir: Path | None = None,
        port: int | None = None,
        progress: Progress | None = None,
        amend: Callable[[dict[str, str]], Mapping[str, str]] = lambda node: node,
        jars: Iterable[Jar] | None = None,
    ) -> None:
        """`amend` is given the node's configuration before every start and returns the one to use.

        `jars`: the class path of another version of Apache Kafka; default is the committed list.
        """
        self._amend = amend
        self._jars = read_list() if jars is None else tuple(jars)
        self._temporary = data_dir is None
        self._data_dir = data_dir
        self._demanded_port = port
        self._progress = progress or (lambda message: None)
        self._ports: tuple[int, int] | None = None
        self._java: Java | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._recording: Path | None = None

    def __repr__(self) -> str:
        condition = f"running, pid {self._process.pid}" if self._is_alive() and self._process else "not running"
        where = self.bootstrap_servers if self._ports else "no port yet"
        return f"<LocalBroker {where}, {condition}>"

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`; the same for the broker's whole life, known from the first `start`."""
        if self._ports is None:
            raise BrokerError("the broker has no address before its first start")
        return f"{HOST}:{self._ports[0]}"

    @property
    def log_file(self) -> Path:
        """Kafka's own log."""
        return self.data_dir / "broker.log"

    @property
    def data_dir(self) -> Path:
        if self._data_dir is None:
            self._data_dir = Path(tempfile.mkdtemp(prefix="reelwire-kafka-"))
        return self._data_dir

    def describe(self) -> str:
        version = kafka_version(self._jars)
        return f"local Apache Kafka {version} at {self.bootstrap_servers} (data and log in {self.data_dir})"

    def leaves(self) -> str | None:
        """What makes the next start faster, and the data if it was given a folder of its own."""
        kept = f"Kafka's jars in {MavenSource().root} and its start cache in {cache_folder()}"
        return kept if self._temporary else f"{kept}, and its data in {self.data_dir}"

    async def start(self) -> None:
        """Return when the broker answers clients; does nothing while it runs. Raises `BrokerError`."""
        if self._is_alive():
            return
        self._end_group()
        if self._java is None:
            self._java = await asyncio.to_thread(lambda: Java(class_path(self._progress, jars=self._jars)))
        self._progress(f"starting Apache Kafka {kafka_version(self._jars)}")
        for attempt in range(1, _START_ATTEMPTS + 1):
            first = self._ports is None
            ports = self._ports = self._ports or self._choose_ports()
            try:
                await self._start_on(ports, self._java)
            except BaseException as error:
                self.kill()
                if first:
                    self._ports = None
                lost_race = isinstance(error, BrokerError) and first and not all(is_free(port) for port in ports)
                if lost_race and attempt < _START_ATTEMPTS:
                    continue
                raise
            return

    async def stop(self) -> None:
        """Stop in order. A temporary data folder is deleted."""
        await self._end_process()
        if self._temporary and self._data_dir is not None:
            shutil.rmtree(self._data_dir, ignore_errors=True)
            self._data_dir = None

    async def restart(self) -> None:
        """Stop in order and start again, with the same address and data."""
        await self._end_process()
        await self.start()

    async def upgrade(self, jars: Iterable[Jar] | None = None) -> None:
        """Stop in order and start another version, with the same address and data. Default: the committed list."""
        await self._end_process()
        self._jars, self._java = read_list() if jars is None else tuple(jars), None
        await self.start()

    def kill(self) -> None:
        """SIGKILL, like a power failure. The data stays; `start` starts it again."""
        self._end_group()

    def _choose_ports(self) -> tuple[int, int]:
        if self._demanded_port is None:
            client, controller = free_ports(2)
            return client, controller
        if not is_free(self._demanded_port):
            raise PortError(
                f"port {self._demanded_port} on {HOST} was chosen for the broker and is in use; choose another"
            )
        (controller,) = free_ports(1)
        return self._demanded_port, controller

    async def _start_on(self, ports: tuple[int, int], java: Java) -> None:
        client, controller = (f"{HOST}:{port}" for port in ports)
        listeners = Listeners(client=client, controller=controller, advertised=client)
        logs = self.data_dir / "logs"
        self.data_dir.mkdir(parents=True, exist_ok=True)
        properties = self.data_dir / "server.properties"
        properties.write_text(as_properties(self._amend(node_settings(listeners, str(logs)))), encoding="utf-8")
        if not (logs / "meta.properties").exists():
            await asyncio.to_thread(self._format, java, properties)
        recording = None if java.has_cache else self.data_dir / "start.aot"
        self._run(java.command("kafka.Kafka", str(properties), record_to=recording))
        self._recording = recording
        try:
            await wait_until_it_answers(
                KafkaSettings(bootstrap_servers=client), timeout_seconds=_START_SECONDS, still_alive=self._is_alive
            )
        except BrokerError as error:
            raise BrokerError(f"{error}\nthe end of {self.log_file}:\n{self._log_tail()}") from None

    def _format(self, java: Java, properties: Path) -> None:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # Passed with `=`, because an id may begin with `-` and would look like an option.
        command = java.command("kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "-c", str(properties))
        with self.log_file.open("ab") as log:
            code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False).returncode
        if code != 0:
            raise BrokerError(f"formatting {self.data_dir} ended with {code}:\n{self._log_tail()}")

    def _run(self, command: list[str]) -> None:
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_GUARD), *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                # Ctrl-C must not reach the broker, which we stop in order; and one signal kills guard and JVM.
                start_new_session=True,
            )

    async def _end_process(self) -> None:
        process, java = self._process, self._java
        if process is None or java is None:
            return
        if self._is_alive():
            process.terminate()
            limit = _STOP_SECONDS
            if self._recording is not None:
                limit = _RECORDING_STOP_SECONDS
                self._progress("saving a cache that makes later starts faster (once, some seconds)")
            try:
                await asyncio.to_thread(process.wait, limit)
            except subprocess.TimeoutExpired:
                self._progress(f"Apache Kafka did not end within {limit:g} s and is killed")
        if self._recording is not None and self._recording.exists() and process.returncode is not None:
            await asyncio.to_thread(java.keep, self._recording)
        self._end_group()

    def _is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _end_group(self) -> None:
        process, self._process, self._recording = self._process, None, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin is not None:
            process.stdin.close()

    def _log_tail(self) -> str:
        lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])


async def record_start_cache(progress: Progress | None = None) -> None:
    """Make what later starts need to be fast, unless it is there; takes some seconds. Raises `BrokerError`.

    Brokers that are started at the same time would else each record it, which makes all of them slow.
    """
    java = await asyncio.to_thread(lambda: Java(class_path(progress)))
    if not java.has_cache:
        async with LocalBroker(progress=progress):
            pass
