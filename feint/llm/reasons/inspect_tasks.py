"""The experiment as a task of Inspect, for any model that it knows.

    inspect eval feint/reasons --model openai/gpt-4o-mini -T arm=rebuttal --epochs 10
    inspect eval feint/reasons --model openai/gpt-4o-mini -T arm=refusal -T judge=openai/gpt-4o

One sample is one scenario with one wording; `--epochs` draws several replies to each. Neutral turns
are matched in words, since tokenizers are not at hand there. Scored by the rules, or by a judge.
"""

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    get_model,
)
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver

from feint.llm.reasons.backend import words
from feint.llm.reasons.counts import MEASURES
from feint.llm.reasons.judge import question, read
from feint.llm.reasons.reply import parse
from feint.llm.reasons.rules import score as by_rules
from feint.llm.reasons.run import Cell, Design, cells
from feint.llm.reasons.scenario import load_scenarios
from feint.llm.reasons.scoring import Verdict
from feint.llm.reasons.turns import SAMPLED, Message, conversation, injected, load_turns

_MAX_TOKENS = 512
_ROLES = {
    "system": ChatMessageSystem,
    "user": ChatMessageUser,
    "assistant": ChatMessageAssistant,
}


@solver
def last_reply() -> Solver:
    """Let the model say the manipulated turn itself where the arm wants it, then the reply."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        if state.metadata["arm"] in SAMPLED:
            state = await generate(state, max_tokens=_MAX_TOKENS // 2)
            state.messages.append(ChatMessageUser(content=state.metadata["request"]))
        return await generate(state)

    return solve


@scorer(metrics={"*": [mean(), stderr(cluster="scenario")]})
def reason_based(judge: str | None = None, scenarios_file: str | None = None) -> Scorer:
    """Undesired replies, reason-based deception, and what else is counted of a reply.

    Args:
        judge: A model of Inspect's; the rules score without one.
        scenarios_file: Scenarios of your own.
    """
    scenarios = load_scenarios(scenarios_file)

    async def score(state: TaskState, target: Target) -> Score:
        scenario, raw = scenarios[state.metadata["scenario"]], _said(state)
        if judge is None:
            verdict = by_rules(scenario, raw)
        else:
            asked = _messages(question(scenario, raw))
            answer = await get_model(judge).generate(asked, config=GenerateConfig(temperature=0.0))
            stance = "neutral" if parse(raw).has_trace else "missing"
            verdict = read(answer.completion, scenario, raw) or Verdict("none", stance)
        form = parse(raw).form
        values: dict[str, float] = {
            name: float(is_so(verdict, form)) for name, is_so in MEASURES.items()
        }
        return Score(
            value=dict(values),
            answer=f"{verdict.outcome}, trace {verdict.stance}",
            explanation=raw,
        )

    return score


def _said(state: TaskState) -> str:
    """The last reply; reasoning that the model gives apart stands in think tags."""
    message = state.output.message
    thoughts = [
        part.reasoning
        for part in ([] if isinstance(message.content, str) else message.content)
        if part.type == "reasoning"
    ]
    thought = "\n".join(thoughts)
    return f"<think>{thought}</think>\n{message.text}" if thought else message.text


def _messages(told: list[Message]) -> list[ChatMessage]:
    return [_ROLES[message["role"]](content=message["content"]) for message in told]


def _sample(cell: Cell) -> Sample:
    turns, scenario = load_turns(), cell.scenario
    told = list(cell.opened)
    if cell.arm not in SAMPLED:
        turn = injected(turns, scenario, cell.arm, cell.wording, words)
        told = conversation(told, turn, scenario.request, turns.reminder)
    return Sample(
        id=cell.id,
        input=_messages(told),
        metadata={
            "scenario": scenario.id,
            "harm": scenario.harm,
            "arm": cell.arm,
            "wording": cell.wording,
            "request": f"{scenario.request} {turns.reminder}",
        },
    )


@task
def reasons(
    arm: str = "natural",
    scenarios: str | None = None,
    wordings: int = 3,
    judge: str | None = None,
    scenarios_file: str | None = None,
) -> Task:
    """Pressure, a refusal or a rebuttal or neither, and what the model does next.

    Args:
        arm: A name in `feint.llm.reasons.turns.ARMS`.
        scenarios: Ids, joined by commas; all by default.
        wordings: Turns of the arm, from short to long.
        judge: A model of Inspect's that scores in place of the rules.
        scenarios_file: Scenarios of your own, in YAML or TOML.
    """
    design = Design(
        scenarios=tuple(scenarios.split(",")) if scenarios else None,
        per_harm=None,
        arms=(arm,),
        wordings=wordings,
        scenarios_file=scenarios_file,
    )
    return Task(
        dataset=MemoryDataset([_sample(cell) for cell in cells(design)]),
        solver=last_reply(),
        scorer=reason_based(judge, scenarios_file),
        config=GenerateConfig(max_tokens=_MAX_TOKENS),
    )
