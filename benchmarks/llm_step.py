"""What a step of overlap on a language model costs, and how fast its answers are read.

    python benchmarks/llm_step.py              SmolLM2-135M on one core: CPU seconds, peak memory
    python benchmarks/llm_step.py --gpu-7b     a random 7B model in bfloat16 on a GPU
    python benchmarks/llm_step.py --table      the table of what is stored

The yardstick is what one writes first: two full forwards with a hook, gradient through both sides,
the same adapters, no more padding than needed. All ways take turns, and their gradients are
compared (those of directed ways with two full forwards that are directed as well). Results go to
`benchmarks/results/llm_step.json`, with a table in `llm_step.md` beside it.
"""

import argparse
import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import Tensor

from feint.files import write_atomically
from feint.llm.chat import encode
from feint.llm.loading import blocks, load, quiet
from feint.llm.objective import TextOverlap
from feint.llm.pairs import make_pairs
from feint.llm.partial import PAD, tokens
from feint.llm.recipes import RECIPES, TuneConfig
from feint.llm.weights import make_trainable, without_adapters
from feint.overlap import capture, distance, pool

RESULTS = Path(__file__).resolve().parent / "results" / "llm_step.json"
DEPTHS = (0.3, 0.57, 0.9)
PAIRS = 2  # in a step: as many as a quarter of a second's patience for each of some hundred steps
BASE = replace(
    RECIPES["feint"], anchor="none", normalise=False, record_dose=False, lora_span=None
)  # the overlap term alone, adapters on all layers up to the compared one


@dataclass
class Way:
    """One way to take a step, and what it cost."""

    name: str
    step: Callable[[], None]
    target: float | None = None  #: times the yardstick
    seconds: list[float] = field(default_factory=list)
    peak: int = 0  #: bytes of tensors above what was there before the step
    error: float = 0.0  #: of the gradient, relative to the yardstick's


@dataclass
class Group:
    """Ways with the same adapters on the same pairs; the first is the yardstick."""

    name: str
    ways: list[Way]

    def rows(self) -> list[dict[str, Any]]:
        """The results as plain values."""
        base = self.ways[0]
        return [
            {
                "group": self.name,
                "way": way.name,
                "seconds": median(way.seconds),
                "speedup": median(base.seconds) / median(way.seconds),
                "target": way.target,
                "peak_mib": way.peak / 2**20,
                "peak_share": way.peak / base.peak,
                "gradient_error": way.error,
            }
            for way in self.ways
        ]


def plain(model: Any, site: str, config: TuneConfig, sides: Sequence[Tensor]) -> Tensor:
    """The yardstick: two full forwards with a hook."""
    acts = []
    for rows in sides:
        with capture(model, [site]) as found:
            model(input_ids=rows.clamp_min(0), attention_mask=rows != PAD, use_cache=False)
        acts.append(pool(found[site], config.pooling, rows != PAD, config.last_n))
    if config.detach == "self":
        acts[0] = acts[0].detach()
    return distance(acts[0], acts[1], "mse")


def tight(rows: Tensor) -> Tensor:
    """Without the columns that hold no token."""
    return rows[:, (rows != PAD).any(dim=0)]


def padded(rows: Tensor, width: int) -> Tensor:
    """Padded on the right to so many columns."""
    return torch.nn.functional.pad(tight(rows), (0, width - tight(rows).shape[1]), value=PAD)


class Bench:
    """Takes the steps of a model and measures them.

    Args:
        model: Without adapters.
        rounds: How often each way is timed.
    """

    def __init__(self, model: Any, rounds: int):
        self.model, self.rounds = model, rounds
        self.device = next(model.parameters()).device

    def group(
        self,
        name: str,
        config: TuneConfig,
        sides: tuple[Tensor, Tensor],
        ways: Sequence[tuple[str, dict[str, Any], float | None]],
        baseline_width: int | None = None,
    ) -> Group:
        """Measure ways, given by what they change in the config, beside the yardstick."""
        tuned = make_trainable(self.model, config)
        torch.manual_seed(0)
        with torch.no_grad():  # new adapters begin at zero, where half of their gradients are too
            for p in tuned.parameters():
                if p.requires_grad:
                    p += 0.01 * torch.randn_like(p)
        weights = [p for p in tuned.parameters() if p.requires_grad]

        def way(name: str, loss: Callable[[], Tensor], target: float | None = None) -> Way:
            def step() -> None:
                for p in weights:
                    p.grad = None
                loss().backward()

            return Way(name, step, target)

        site = TextOverlap(tuned, config).site
        given = [tight(x) if baseline_width is None else padded(x, baseline_width) for x in sides]
        label = "two full forwards" + (f", padded to {baseline_width}" if baseline_width else "")
        both = replace(config, detach="none")
        directed = replace(config, detach="self")
        found = [way(label, lambda: plain(tuned, site, both, given))]
        for label, changes, target in ways:
            objective = TextOverlap(tuned, replace(both, **changes))
            found.append(way(label, lambda o=objective: o(*sides)["loss"], target))
        reference = {"self": way("", lambda: plain(tuned, site, directed, given)), "none": found[0]}
        wanted = {detach: self._peak(one, weights) for detach, one in reference.items()}
        for one, (_, changes, _) in zip(found[1:], ways, strict=True):
            want = wanted[changes.get("detach", "none")]
            one.error = float((self._peak(one, weights) - want).norm() / want.norm())
        for _ in range(self.rounds):
            for one in found:
                one.seconds.append(self._time(one.step))
        self.model = without_adapters(tuned)
        group = Group(name, found)
        print(table(group.rows()), flush=True)
        return group

    def _time(self, step: Callable[[], None]) -> float:
        """Seconds: of this process on a CPU, of the clock on a GPU."""
        if self.device.type == "cpu":
            start = time.process_time()
            step()
            return time.process_time() - start
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(10):
            step()
        torch.cuda.synchronize()
        return (time.perf_counter() - start) / 10

    def _peak(self, way: Way, weights: Sequence[Tensor]) -> Tensor:
        """Take a step; note the most bytes that tensors took above what was there before.

        Returns:
            The gradient, flat, float64.
        """
        if self.device.type == "cuda":
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            way.step()
            torch.cuda.synchronize()
            way.peak = torch.cuda.max_memory_allocated() - before
        else:
            with torch.profiler.profile(
                activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
            ) as profile:
                way.step()
            way.peak = _most_held(profile)
        return torch.cat([
            (torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1).double().cpu()
            for p in weights
        ])  # fmt: skip


def _most_held(profile: Any) -> int:
    """The most bytes held at once, of all that were allocated and freed while it watched."""
    with tempfile.TemporaryDirectory() as folder:
        profile.export_chrome_trace(f"{folder}/trace.json")
        events = json.loads(Path(folder, "trace.json").read_text())["traceEvents"]
    memory = [event for event in events if event.get("name") == "[memory]"]
    held = most = 0
    for event in sorted(memory, key=lambda event: event["ts"]):
        held += event["args"]["Bytes"]
        most = max(most, held)
    return most


def pairs_of(tokenizer: Any, form: str, chat: bool, n: int) -> tuple[Tensor, Tensor]:
    """Rows of the two sides of some pairs."""
    pairs = make_pairs("presence", n=n, form=form, seed=3)
    batch = encode(tokenizer, [*pairs.self_prompts, *pairs.other_prompts], chat=chat)
    rows = tokens(batch.ids, batch.mask)
    return rows[:n], rows[n:]


def steps(model: Any, tokenizer: Any, rounds: int) -> list[Group]:
    """All groups of the small model."""
    bench, found = Bench(model, rounds), []
    depth = len(blocks(model))
    scenes = pairs_of(tokenizer, "scene", True, PAIRS)
    for share in DEPTHS:
        config = replace(BASE, layer=share)
        judged = share == 0.57
        found.append(
            bench.group(
                f"scenes, layer {config.layer_of(depth)}, adapters 0 to {config.layer_of(depth)}",
                config,
                scenes,
                [
                    ("both sides", {}, 1.5 if judged else None),
                    *([("both sides in one batch", {"together": True}, None)] if judged else []),
                    ("directed", {"detach": "self"}, 2.0 if judged else None),
                ],
            )
        )
        last = config.layer_of(depth)
        found.append(
            bench.group(
                f"scenes, layer {last}, adapters {last - 3} to {last}",
                replace(config, lora_span=4),
                scenes,
                [
                    ("directed", {"detach": "self", "prefix_cache": False}, None),
                    ("directed, prefix cached", {"detach": "self"}, 5.0 if judged else None),
                ],
            )
        )
    config = replace(BASE, layer=0.57)
    for form, target in (("fragment", 6.0), ("scene", 3.0)):
        sides = pairs_of(tokenizer, form, False, PAIRS)
        length = int((sides[0] != PAD).sum() + (sides[1] != PAD).sum()) // (2 * PAIRS)
        for what, adapted in (("0 to 17", None), ("of the recipe", RECIPES["feint"].lora_span)):
            found.append(
                bench.group(
                    f"{form}s of {length} tokens, layer 17, adapters {what}",
                    replace(config, lora_span=adapted),
                    sides,
                    [
                        ("both sides", {}, None),
                        ("directed", {"detach": "self"}, target),
                    ],
                    baseline_width=128,
                )
            )
    return found


def answers(model: Any, tokenizer: Any, n: int) -> dict[str, Any]:
    """Answers per CPU second, read in three ways, and whether they agree."""
    from feint.llm.reading import read
    from feint.llm.scene import label
    from feint.llm.scenes import make_scenes

    scenes = make_scenes("burglar", "thief", split="dev", n=n)
    rows: dict[str, Any] = {}
    labels: dict[str, list[str]] = {}

    def one(name: str, run: Callable[[], list[Any]]) -> None:
        start = time.process_time()
        readings = run()
        rows[name] = n / (time.process_time() - start)
        if readings[0].answer is not None:
            labels[name] = [label(r.answer, s) for r, s in zip(readings, scenes, strict=True)]

    one("forced prefix", lambda: read(model, tokenizer, scenes))
    one("generation, batched, early stop", lambda: read(model, tokenizer, scenes, generate=True))
    one(
        "generation, one at a time",
        lambda: [
            read(model, tokenizer, [s], generate=True, stop=False, batch=1)[0] for s in scenes
        ],
    )
    first, second = labels.values()
    return {"answers_per_cpu_s": rows, "scenes": n, "equal_labels": first == second}


def seven_billion() -> dict[str, Any]:
    """The same step on a randomly initialised model of Mistral-7B's shape, on a GPU."""
    from transformers import MistralConfig, MistralForCausalLM

    if not torch.cuda.is_available():
        raise SystemExit("--gpu-7b needs a GPU, and torch sees none")
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = MistralForCausalLM(MistralConfig()).eval()
    torch.set_default_dtype(torch.float32)
    weights = torch.cuda.memory_allocated()
    bench, found = Bench(model, rounds=5), []
    for length, n in ((26, 16), (128, 16)):
        rows = torch.randint(3, 30000, (2, n, length), device="cuda")
        config = replace(BASE, layer=19, dtype="bfloat16")
        ways = [
            ("both sides in one batch", {"together": True}, None),
            ("both sides", {"together": False}, None),
            ("directed", {"together": False, "detach": "self"}, None),
        ]
        for span, adapters in ((None, "0 to 19"), (4, "16 to 19")):
            name = f"{n} pairs of {length} tokens, layer 19, adapters {adapters}"
            adapted = replace(config, lora_span=span)
            found += [bench.group(name, adapted, (rows[0], rows[1]), ways, baseline_width=128)]
    return {
        "gpu": torch.cuda.get_device_name(),
        "weights_gib": weights / 2**30,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
        "rows": [row for group in found for row in group.rows()],
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as a markdown table, group by group."""
    lines, group = [], None
    for row in rows:
        if row["group"] != group:
            group = row["group"]
            lines += [
                f"\n**{group}**\n",
                "| way | seconds | times faster | target | peak MiB | share | gradient error |",
                "|---|---|---|---|---|---|---|",
            ]
        target = ""
        if row["target"]:
            met = row["speedup"] >= row["target"]
            target = f"{row['target']:g}, {'met' if met else 'missed'}"
        lines.append(
            f"| {row['way']} | {row['seconds']:.3f} | {row['speedup']:.2f} | {target} "
            f"| {row['peak_mib']:.0f} | {row['peak_share']:.2f} | {row['gradient_error']:.1e} |"
        )
    return "\n".join(lines)


def page(results: dict[str, Any]) -> str:
    """All that is stored, in markdown."""
    parts = ["# A step of overlap on a language model\n\nMade by `python benchmarks/llm_step.py`."]
    if "steps" in results:
        parts.append(
            f"## SmolLM2-135M, {PAIRS} pairs of scenes, CPU seconds of one core\n"
            + table(results["steps"])
        )
    if "answers" in results:
        found = results["answers"]
        rates = "\n".join(f"| {k} | {v:.2f} |" for k, v in found["answers_per_cpu_s"].items())
        parts.append(
            f"## Answers per CPU second, {found['scenes']} scenes\n\n"
            f"| way | answers/s |\n|---|---|\n{rates}\n\nLabels of the two generations are "
            + ("equal." if found["equal_labels"] else "NOT equal.")
        )
    if "gpu_7b" in results:
        found = results["gpu_7b"]
        parts.append(
            f"## 7B, bfloat16, {found['gpu']}\n\nWeights {found['weights_gib']:.1f} GiB, peak over "
            f"all {found['peak_gib']:.1f} GiB.\n" + table(found["rows"])
        )
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--gpu-7b", action="store_true", help="a random 7B model on a GPU instead")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is timed")
    parser.add_argument("--scenes", type=int, default=16, help="answers that are read; 0 for none")
    parser.add_argument("--table", action="store_true", help="show what is stored, measure nothing")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the JSON file")
    args = parser.parse_args()
    stored = json.loads(args.out.read_text()) if args.out.exists() else {}
    if args.table:
        print(page(stored))
        return
    if args.gpu_7b:
        stored["gpu_7b"] = seven_billion()
    else:
        torch.set_num_threads(1)
        with quiet():
            model, tokenizer = load("smollm2", device="cpu")
        groups = steps(model, tokenizer, args.rounds)
        stored["steps"] = [row for group in groups for row in group.rows()]
        if args.scenes:
            stored["answers"] = answers(model, tokenizer, args.scenes)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        stored["cpu_seconds"] = round(usage.ru_utime + usage.ru_stime, 1)
    stored["versions"] = {"python": platform.python_version(), "torch": torch.__version__}
    write_atomically(args.out, json.dumps(stored, indent=1) + "\n")
    write_atomically(args.out.with_suffix(".md"), page(stored))
    print(page(stored))


if __name__ == "__main__":
    sys.exit(main())
