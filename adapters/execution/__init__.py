"""Where trainings run: worker processes of this machine, or jobs of a SLURM cluster.

A run is a command and its folder, and its result is the `run.json` that was put there atomically. What a scheduler or
a process says of it only tells whether somebody is still working on it.

    processes   dying with the parent            slots     which worker gets which GPU
    workers     tasks in processes of their own  local     the engine of this machine
    batches     what was handed to SLURM         slurm     the engine of a cluster
    engine      what both offer                  supervise submitting, retrying, until every run is over
"""
