"""Measures models from checkpoints again, in a process of its own: `python -m` this module.

Standard input holds one JSON table: "runs", each with the "result" file and "models" (run id ->
checkpoint); "seed" of the fresh games; "factor", fresh episodes for each claimed one; "memory",
bytes. Standard output gets a line of JSON for each run, in order: {"run", "found"}, or {"run",
"error"}. It is started by `feint.bench.leaderboard.sandbox`, and has checked files to read only.
"""

import json
import os
import sys
from pathlib import Path

MOST_FILE = 64 << 20


def main() -> None:
    """Do what standard input says."""
    job = json.load(sys.stdin)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else is printed must not look like an answer
    limit(int(job["memory"]))
    import torch

    from feint.bench.leaderboard.entries import kind_of, read_result
    from feint.bench.suite import Suite

    torch.set_num_threads(1)
    for entry in job["runs"]:
        answer: dict[str, object] = {"run": entry["run"]}
        try:
            result = read_result(entry["result"])
            kind = kind_of(Suite.from_dict(job["suite"]))
            models = {run: Path(path) for run, path in entry["models"].items()}
            found = kind.reevaluate(result, models, job["seed"], job["factor"])
            json.dumps(found, allow_nan=False)
            answer["found"] = found
        except MemoryError:
            answer["error"] = "it ran out of memory"
        except Exception as error:
            lines = str(error).splitlines() or [""]
            answer["error"] = f"{type(error).__name__}: {lines[0][:300]}"
        out.write(json.dumps(answer) + "\n")
        out.flush()


def limit(memory: int) -> None:
    """Bound what this process may take, where the system knows such limits."""
    try:
        import resource
    except ImportError:  # Windows
        return
    limits = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_FSIZE: MOST_FILE,
        resource.RLIMIT_CORE: 0,
    }
    for which, most in limits.items():
        hard = resource.getrlimit(which)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (most, most))


if __name__ == "__main__":
    main()
