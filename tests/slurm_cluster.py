"""A real SLURM on this host for tests: two virtual nodes with fake GPUs, made in a folder and gone after the test.

It needs root and Debian's packages slurm-wlm and munge (their build lets several slurmd share a host).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import re
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

Found = TypeVar("Found")

NODES = ("n1", "n2")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo")
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/bin"])
COLUMNS = {
    "id": "%i",
    "array": "%F",
    "task": "%K",
    "name": "%j",
    "state": "%T",
    "reason": "%r",
    "partition": "%P",
    "node": "%N",
    "limit": "%l",
    "comment": "%k",
}
"""What `Cluster.squeue` tells about a job, and squeue's letter for it."""

SETTINGS: dict[str, object] = {
    "ClusterName": "test",
    "SlurmUser": "root",
    "ProctrackType": "proctrack/linuxproc",
    "TaskPlugin": "task/none",
    "MpiDefault": "none",
    "MailProg": "/bin/true",
    "GresTypes": "gpu",
    "SelectType": "select/cons_tres",
    "SelectTypeParameters": "CR_CPU",
    "SlurmdParameters": "config_overrides",
    "SchedulerType": "sched/backfill",
    "SchedulerParameters": "batch_sched_delay=0,sched_interval=1,sched_min_interval=50000,bf_interval=1",
    "PreemptType": "preempt/partition_prio",
    "PreemptMode": "REQUEUE",
    "JobRequeue": 1,
    "ReturnToService": 2,
    "SlurmdTimeout": 10,
    "MessageTimeout": 5,
    "KillWait": 5,
    "MinJobAge": 300,
    "MaxArraySize": 2001,
}
"""slurm.conf, without what depends on the host and the folder. The short MessageTimeout makes clients give up after 4 s
without a controller, and a dead node known after 20 s; with SLURM's own 10 s it takes 9 and 30 s."""


class Cluster:
    """Two nodes, n1 and n2, with partitions `main` (default) and `cheap` (its jobs are requeued for those of `main`).

    Its files are in `folder`; the daemons know it by a short symbolic link, for the path of a socket is 107 bytes at
    most. `settings` replaces or adds lines of slurm.conf.
    """

    def __init__(
        self,
        folder: Path,
        *,
        cpus: int = 4,
        memory: int = 4000,
        gpus: int = 2,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self.link = Path("/tmp", f"slurm-{hashlib.sha256(bytes(self.folder)).hexdigest()[:12]}")
        self.environment = {"SLURM_CONF": str(self.link / "slurm.conf")}
        """What a process needs on top of its own environment to use this cluster."""
        self._node = f"CPUs={cpus} RealMemory={memory}" + (f" Gres=gpu:{gpus}" if gpus else "")
        self._gpus = gpus
        self._settings = {**SETTINGS, **(settings or {})}
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    @staticmethod
    def available() -> bool:
        """Whether SLURM and munge are installed and this is root."""
        return os.geteuid() == 0 and all(shutil.which(program, path=PATH) for program in PROGRAMS)

    def start(self) -> None:
        """Start everything afresh, after an end to what an earlier cluster in this folder left running."""
        self.stop()
        for name in ("state", *NODES):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).mkdir(parents=True)
        self.link.symlink_to(self.folder)
        self._configure()
        self._daemon("munged", "munged", "--foreground", "--force", *self._munge_options())
        self.wait((self.folder / "munge.socket").exists, 10)
        self.controller_start()
        for name in NODES:
            self.node_start(name)
        self.wait(lambda: self.idle_nodes() == set(NODES), 20)

    def stop(self) -> None:
        """End the daemons, the clients and every process of a job; the files stay."""
        for daemon in self._daemons.values():
            daemon.kill()
        try:
            _kill_all(self._processes)
        finally:
            for daemon in self._daemons.values():
                daemon.wait()
            self._daemons.clear()
            self.link.unlink(missing_ok=True)

    def run(self, *command: object, check: bool = True, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command as a user of this cluster; with `check`, a failure is an AssertionError."""
        words = [str(word) for word in command]
        done = subprocess.run(
            words, env=self._clean_environment(), cwd=cwd, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0 or not check, f"{words}: exit code {done.returncode}: {done.stderr}"
        return done

    def sbatch(self, script: str, *options: object) -> str:
        """The id of a new job with these lines of bash; its output goes to `folder`."""
        output = f"--output={self.folder}/job-%j.out"
        return self.run("sbatch", "--parsable", output, *options, f"--wrap={script}").stdout.strip()

    def squeue(self, *options: object) -> list[dict[str, str]]:
        """All jobs that the controller remembers, in every state, one for each task of an array; see COLUMNS."""
        layout = "\x1f".join(COLUMNS.values())
        lines = self.run("squeue", "-a", "-r", "-h", "-t", "all", "-o", layout, *options).stdout.splitlines()
        return [dict(zip(COLUMNS, line.split("\x1f"), strict=True)) for line in lines]

    def states(self) -> dict[str, str]:
        """The state of every job by its id, tasks of arrays as 12_0."""
        return {job["id"]: job["state"] for job in self.squeue()}

    def job(self, job: str) -> dict[str, str]:
        """What `scontrol show job` tells: JobState, Reason, Restarts, ExitCode, NodeList, TimeLimit, ..."""
        shown = self.run("scontrol", "show", "job", "-o", job).stdout
        return dict(re.findall(r"(\S+?)=(.*?)(?=\s+\S+?=|\s*$)", shown.splitlines()[0]))

    def nodes(self) -> dict[str, str]:
        """The state of every node: idle, mix, alloc, comp, down, drain, ..., with a star when it does not answer."""
        lines = self.run("sinfo", "-h", "-N", "-p", "main", "-o", "%N %t", check=False).stdout.splitlines()
        return dict(line.split() for line in lines)

    def idle_nodes(self) -> set[str]:
        """The nodes that are up and have no job."""
        return {name for name, state in self.nodes().items() if state == "idle"}

    def wait(self, condition: Callable[[], Found], seconds: float = 30) -> Found:
        """The first true value of the condition; an AssertionError when there is none in this time."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            if time.monotonic() > end:
                raise AssertionError(f"not true after {seconds} s\n{self._situation()}")
            time.sleep(0.1)
        return found

    def controller_start(self) -> None:
        """Start slurmctld with the state that the last one saved, and wait until it answers."""
        self._daemon("slurmctld", "slurmctld", "-D")
        self.wait(lambda: self.run("scontrol", "ping", check=False).returncode == 0, 20)

    def controller_stop(self, *, kill: bool = False) -> None:
        """End slurmctld, which saves its state before; with `kill` it has no time to."""
        self._end("slurmctld", signal.SIGKILL if kill else signal.SIGTERM)

    def node_start(self, name: str) -> None:
        """Start the slurmd of a node; a node that was down is back a few seconds later."""
        self._daemon(name, "slurmd", "-D", "-N", name)

    def node_kill(self, name: str, *, jobs: bool = False) -> None:
        """Kill a node's slurmd and slurmstepds: its jobs run on, unwatched, unless `jobs` kills them too."""
        self._end(name, signal.SIGKILL)
        _kill_all(lambda: self._node_processes(name, jobs=jobs))

    def _configure(self) -> None:
        """Write slurm.conf, gres.conf, the GPUs and the key."""
        controller, *ports = _free_ports(1 + len(NODES))
        host, link = socket.gethostname().split(".")[0], self.link
        lines = {
            "SlurmctldHost": f"{host}(127.0.0.1)",
            "SlurmctldPort": controller,
            "AuthInfo": f"socket={link}/munge.socket,cred_expire=5",
            "StateSaveLocation": link / "state",
            "SlurmdSpoolDir": link / "%n",
            "SlurmctldPidFile": link / "slurmctld.pid",
            "SlurmdPidFile": link / "%n.pid",
            "SlurmctldLogFile": link / "slurmctld.log",
            "SlurmdLogFile": link / "%n.log",
            **self._settings,
        }
        written = [f"{key}={value}" for key, value in lines.items()]
        for name, port in zip(NODES, ports, strict=True):
            written.append(f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} {self._node}")
        partition = "Nodes=ALL MaxTime=INFINITE State=UP"
        written.append(f"PartitionName=main {partition} Default=YES PriorityTier=10 PreemptMode=OFF")
        written.append(f"PartitionName=cheap {partition} PriorityTier=1 PreemptMode=REQUEUE")
        (self.folder / "slurm.conf").write_text("\n".join(written) + "\n", encoding="utf-8")
        self._make_gpus()
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(128))

    def _make_gpus(self) -> None:
        """Device nodes, for SLURM numbers no other files in CUDA_VISIBLE_DEVICES; these are /dev/null's."""
        lines = []
        for number in range(self._gpus):
            device = self.folder / f"gpu{number}"
            device.unlink(missing_ok=True)
            os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
            lines.append(f"Name=gpu File={self.link}/{device.name}\n")
        (self.folder / "gres.conf").write_text("".join(lines), encoding="utf-8")

    def _munge_options(self) -> list[str]:
        (self.folder / "munge.socket").unlink(missing_ok=True)
        names = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        return [f"--{option}={self.link}/munge.{name}" for option, name in names.items()]

    def _daemon(self, name: str, *command: str) -> None:
        """Start a daemon in the foreground, in a session of its own."""
        assert name not in self._daemons, f"{name} runs"
        with (self.folder / f"{name}.err").open("ab") as errors:
            self._daemons[name] = subprocess.Popen(
                command,
                env={**self._clean_environment(), "PATH": PATH},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )

    def _end(self, name: str, how: signal.Signals) -> None:
        """Send a daemon a signal and wait for its end."""
        daemon = self._daemons.pop(name)
        daemon.send_signal(how)
        try:
            daemon.wait(20)
        finally:
            daemon.kill()
            daemon.wait()

    def _clean_environment(self) -> dict[str, str]:
        """This environment for this cluster, without what a job of another SLURM would have left in it."""
        other = re.compile(r"(SLURM|SLURMD|SBATCH|SQUEUE|SCANCEL|SINFO|SRUN|SALLOC)_")
        return {key: value for key, value in os.environ.items() if not other.match(key)} | self.environment

    def _processes(self) -> set[int]:
        """Everything with this SLURM_CONF, so daemons, clients and jobs, and all their descendants."""
        found = {one for one in _all_processes() if self._marked(one)}
        parents = {one: _parent(one) for one in _all_processes()}
        while more := {one for one, parent in parents.items() if parent in found} - found:
            found |= more
        return found - {os.getpid()}

    def _node_processes(self, name: str, *, jobs: bool) -> set[int]:
        """The slurmstepds of a node, for only they have its log open; with `jobs` what they started too."""
        log, mark = str(self.folder / f"{name}.log"), f"SLURMD_NODENAME={name}"
        marked = [one for one in _all_processes() if self._marked(one)]
        return {one for one in marked if log in _open_files(one) or (jobs and mark in _environment(one))}

    def _marked(self, process: int) -> bool:
        return f"SLURM_CONF={self.environment['SLURM_CONF']}" in _environment(process)

    def _situation(self) -> str:
        """What somebody wants to read when a test waited in vain."""
        logs = sorted(self.folder.glob("*.err"))
        ends = [f"{log.name}: ...{log.read_text(errors='replace')[-1500:]}" for log in logs]
        return "\n".join([*ends, self.run("squeue", "-a", "-r", "-t", "all", check=False).stdout[:3000]])


def _all_processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _parent(process: int) -> int:
    """The parent of a process, 0 when it is gone."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _environment(process: int) -> list[str]:
    """The environment that a process was started with; none when it is gone or a zombie."""
    try:
        return Path(f"/proc/{process}/environ").read_text(errors="replace").split("\0")
    except OSError:
        return []


def _open_files(process: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for descriptor in os.listdir(f"/proc/{process}/fd"):
            with contextlib.suppress(OSError):
                found.add(os.readlink(f"/proc/{process}/fd/{descriptor}"))
    return found


def _kill_all(processes: Callable[[], set[int]], seconds: float = 20) -> None:
    """Kill until there are none."""
    end = time.monotonic() + seconds
    while found := processes():
        assert time.monotonic() < end, f"processes {found} do not end"
        for process in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.02)


def _free_ports(count: int) -> list[int]:
    """Ports below those that the kernel gives to clients, drawn so that clusters started at once differ."""
    found: set[int] = set()
    while len(found) < count:
        port = random.SystemRandom().randrange(10000, 30000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            found.add(port)
    return list(found)


@contextlib.contextmanager
def running_cluster(
    folder: Path,
    *,
    cpus: int = 4,
    memory: int = 4000,
    gpus: int = 2,
    settings: Mapping[str, object] | None = None,
) -> Iterator[Cluster]:
    """A cluster that runs inside the `with`; see Cluster."""
    cluster = Cluster(folder, cpus=cpus, memory=memory, gpus=gpus, settings=settings)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
