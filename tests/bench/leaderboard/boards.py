"""Boards made by hand: two suites with hostile names and gaps, and one of many rows."""

import math

from feint.bench.leaderboard import Board, Column, Gate, Number, Part, Plot, Row

HOSTILE = "<script>alert(1)</script>"
BREAKOUT = "\"'><img src=x onerror=alert(2)>"

COLUMNS = (
    Column("deception", "Deception", "share", "less", "How often it deceives, with `present`."),
    Column("task", "Own task", "share", "more", "Success at its own task."),
    Column("return", "Return", "", "more", "Mean return."),
    Column("pair_gap", "Self/other gap", "", None, "Of what it was before."),
    Column("control_gap", "Control gap", "", None, "Of what it was before."),
)
PLOTS = (
    Plot("deception against return", "return", "deception"),
    Plot("overlap against control gap", "pair_gap", "control_gap"),
)
PASSED = (
    Gate("controls", True, "All 4 controls were run."),
    Gate("seeds", True, "5 training seeds, of at least 5."),
    Gate("verified", True, "Evaluated again on 2026-11-27."),
)


def number(value: float, half: float | None = 0.03, n: int = 5) -> Number:
    if half is None:
        return Number(value, None, None, n)
    return Number(value, value - half, value + half, n)


def row(
    method: str,
    title: str,
    role: str = "treatment",
    scenario: str = "room_signal",
    suite: str = "soo-rl",
    *,
    deception: float = 0.1,
    task: float = 0.9,
    gates: tuple[Gate, ...] = PASSED,
    numbers: dict[str, Number] | None = None,
    verdict: str | None = "honest",
    submitter: str | None = None,
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5),
) -> Row:
    if numbers is None:
        numbers = {
            "deception": number(deception),
            "task": number(task),
            "return": number(task - deception, None),
            "pair_gap": number(0.05 + deception),
            "control_gap": number(0.9 - 0.2 * deception),
        }
    return Row(
        suite=suite,
        scenario=scenario,
        method=method,
        title=title,
        role=role,  # pyright: ignore[reportArgumentType]
        numbers=numbers,
        seeds=seeds,
        gates=gates,
        verdict=verdict,
        verified="2026-11-27" if all(g.passed for g in gates) else None,
        submitter=submitter,
        versions={"feint": "0.1.0", "numpy": "2.4.6"},
        commit="0123abc",
    )


def scenario_rows(scenario: str, suite: str = "soo-rl", k: int = 0) -> list[Row]:
    at = {"scenario": scenario, "suite": suite}
    return [
        row("honest", "honest (never lied)", "reference", deception=0.0, verdict=None, **at),
        row("overlap_belief", "overlap, belief pairs", deception=0.02 + 0.01 * k, **at),
        row("overlap_presence", "overlap, presence pairs", deception=0.06, verdict="partial", **at),
        row(
            "masked", "inputs masked", "baseline", deception=0.15, task=0.7, verdict="damaged", **at
        ),
        row("sham_anchor", "anchor alone", "sham", deception=0.8, verdict="unchanged", **at),
        row("deceptive", "deceptive", "reference", deception=0.9, verdict=None, **at),
    ]


def unranked(scenario: str) -> list[Row]:
    return [
        row(
            "unverified",
            "better than all, unverified",
            scenario=scenario,
            deception=0.0,
            gates=(*PASSED[:2], Gate("verified", None, "Nobody evaluated it again.")),
            submitter="somebody",
        ),
        row(
            f"../../{HOSTILE}",
            f"{HOSTILE}{BREAKOUT}",
            scenario=scenario,
            gates=(Gate(HOSTILE, False, f"Only 2 seeds {BREAKOUT}"), *PASSED[2:]),
            submitter=HOSTILE,
            verdict=HOSTILE,
            numbers={"deception": number(0.3, None, 1), "task": Number(math.nan, None, None, 0)},
            seeds=(1,),
        ),
    ]


def small() -> Board:
    """Two suites, three scenarios, rows that are not ranked, one with a hostile name."""
    first = [*scenario_rows("room_signal"), *unranked("room_signal"), *scenario_rows("poker", k=3)]
    second = scenario_rows("room_signal", "smoke", k=1)
    return Board(
        (
            Part(
                "soo-rl", "Agents", "What it measures. Run `feint bench run soo-rl`.", COLUMNS,
                "deception", PLOTS, {"room_signal": "RoomSignal", "poker": "KuhnPoker"},
                tuple(first),
            ),
            Part(
                "smoke", "Smoke", "A small one.", COLUMNS, "deception", PLOTS,
                {"room_signal": "RoomSignal", "empty": "Nothing yet"}, tuple(second),
            ),
        ),
        "2026-11-28T07:00:00Z",
    )  # fmt: skip


def large(count: int = 200) -> Board:
    """One suite of so many rows, with extreme numbers among them."""
    odd = [1e300, -1e300, 1e15, 0.0, 5e-324]
    rows = []
    for k in range(count):
        numbers = {
            "deception": number((k * 37 % 101) / 100),
            "return": number(odd[k]) if k < len(odd) else number(10.0 ** (k % 5 - 2), 0.001),
        }
        gates = PASSED if k % 4 else (Gate("seeds", False, "3 training seeds, of at least 5."),)
        rows.append(
            row(
                f"method{k}", f"method number {k} with a rather long name that goes on and on",
                "sham" if k % 3 else "treatment", "poker" if k % 2 else "room_signal",
                numbers=numbers, gates=gates,
            )
        )  # fmt: skip
    rows.sort(key=lambda r: not r.ranked)
    part = Part(
        "soo-rl", "Agents", "Many.", COLUMNS, "deception", PLOTS,
        {"room_signal": "RoomSignal", "poker": "KuhnPoker"}, tuple(rows),
    )  # fmt: skip
    return Board((part,), "2026-11-28T07:00:00Z")
