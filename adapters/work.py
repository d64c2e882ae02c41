"""What a job on a cluster's node does: one run of a study, or its preparation."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from ..forecast.errors import WorkError
from .execution.batches import PREPARATION
from .execution.cluster_task import PARENT
from .execution.processes import die_with_parent
from .execution.slots import augmentation_workers, cores, single_threaded
from .execution.workers import open_workers
from .nnunet import detect_device, require_nnunet
from .nnunet.attempt import STOPPED, StoppedError, stop_on_terminate
from .nnunet.dataset import NnunetDataset
from .nnunet.pilot import do_run
from .prepare import preparation_left, prepare
from .run_folders import run_at
from .specs import Materials, extra_test_sets, materials_of, spec_of
from .study import Study, open_study, read_dataset_of


def work(folder: Path, run: str) -> int:
    """Do one run, or go on with it.

    Args:
        folder: Study folder.
        run: Run folder within the study, or `preparation`.

    Returns:
        0, or 75 where it was asked to stop and can go on from its checkpoint.
    """
    if PARENT in os.environ:
        die_with_parent(int(os.environ[PARENT]))
    require_nnunet()
    study = open_study(folder)
    dataset = read_dataset_of(study)
    if run == PREPARATION:
        _prepare(study, dataset)
        return 0
    stop_on_terminate()
    place, device = run_at(study, run), _device(study)
    spec = spec_of(study, _materials(study, dataset), place, device, augmentation_workers(device, 1))
    print(f"pilot run {spec.name} on {device}", flush=True)
    try:
        do_run(spec)
    except StoppedError:
        print("stopped after a checkpoint", flush=True)
        return STOPPED
    return 0


def _device(study: Study) -> str:
    """Where this job trains.

    Raises:
        WorkError: It asked for a GPU and sees none: on a CPU the training would take for ever. Another node may do.
    """
    asked = study.settings.execution
    device = detect_device(asked.device)
    if PARENT in os.environ and device == "cpu" and asked.device != "cpu" and "gpu" in (asked.gres or ""):
        raise WorkError(
            f"{socket.gethostname()}: the job asked for {asked.gres}, but torch sees no GPU here (its driver, or a "
            'torch without CUDA). Mend that, leave the node out (options = { exclude = "..." }), or set device = "cpu".'
        )
    return device


def _materials(study: Study, dataset: NnunetDataset) -> Materials:
    """What runs work with; what this node does not see of it is made anew."""
    if preparation_left(study, dataset):
        return _prepare(study, dataset)
    return materials_of(study, dataset, extra_test_sets(study, dataset))


def _prepare(study: Study, dataset: NnunetDataset) -> Materials:
    def tell(what: str, done: int, total: int) -> None:
        print(f"{what}: {done}/{total}", flush=True)

    with open_workers(single_threaded(cores())) as workers:
        return prepare(study, dataset, workers, tell)
