"""Rows to prompts and back: a prompt is a sender's row of RoomSignal, put into words.

RoomSignal's nuisance inputs mean nothing to the game; here they choose the words (`SURFACE`).
A prompt is a few lines, each from a finite table, so that writing is a look-up per line and adding
strings, and reading is a look-up in the tables turned round.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from feint.envs.room_signal.dynamics import ALLY, CONTEXTS, RIVAL, SELF
from feint.envs.room_signal.layout import Layout
from feint.envs.text.wording import Wording, fill

#: What the nuisance inputs choose: the phrasing; the names of rooms 0 and 1; the things; which room
#: is told of first and which is asked for first; the detail.
SURFACE = ("phrasing", "room_0", "room_1", "cheap", "costly", "told_first", "asked_first", "detail")
PHRASING, ROOM_0, ROOM_1, CHEAP, COSTLY, TOLD, ASKED, DETAIL = range(len(SURFACE))


class Prompts:
    """The two directions, for one wording and one configuration.

    Args:
        wording: sentences and words.
        slots: the words for `{name}` and the other slots of `[edits]`.
        layout: columns of the sender's row.
        suffix: put after every question.

    Raises:
        ValueError: where two different games would read the same.
    """

    def __init__(
        self, wording: Wording, slots: dict[str, str], layout: Layout, suffix: str = ""
    ) -> None:
        self.wording, self.layout = wording, layout
        rooms = len(wording.rooms)
        self.sizes = np.array(
            [len(wording.phrasings), rooms, rooms - 1, max(1, len(wording.cheap)),
             len(wording.costly), 2, 2, len(wording.details)]
        )  # fmt: skip
        self.rooms = np.array(wording.rooms, object)
        self._fill_tables(slots, f" {suffix}" if suffix else "")
        self._turn_tables_round()

    def _fill_tables(self, slots: dict[str, str], suffix: str) -> None:
        """One object array per line of a prompt, all but the last line with its line break."""
        wording, rooms = self.wording, self.wording.rooms
        prizes = ["the " + thing.partition(" ")[2] for thing in wording.costly]
        kinds = {"cheap": wording.cheap or wording.costly, "costly": wording.costly}

        def per_phrasing(key: str, context: int, *axes: tuple[str, Sequence[str]]) -> np.ndarray:
            made = [_filled(p[key][context], slots, *axes) for p in wording.phrasings]
            return np.stack(made)

        def by_context(key: str, *axes: tuple[str, Sequence[str]]) -> np.ndarray:
            made = [per_phrasing(key, c, *axes) for c in range(len(CONTEXTS))]
            return np.stack(made, axis=1)

        self.scene = by_context("scene") + "\n"  #: [phrasing, context]
        #: [phrasing, context, room, thing], for either kind of thing
        self.told = [
            by_context(kind, ("room", rooms), ("thing", things)) + "\n"
            for kind, things in kinds.items()
        ]
        self.goal = by_context("goal", ("prize", prizes)) + "\n"  #: [phrasing, context, prize]
        hears = [_filled(text, slots).item() for text in wording.ears]
        deaf = [hears[SELF], hears[ALLY], _filled(wording.deaf, slots).item()]
        self.ears = np.array([deaf, hears], object).T + "\n"  #: [context, listens]
        self.door = _filled(wording.extra["door"], slots).item() + "\n"
        self.trap = _filled(wording.extra["trap"], slots, ("room", rooms)) + "\n"  #: [room]
        self.detail = np.array(wording.details, object) + "\n"  #: [detail]
        #: [phrasing, context, first, second]
        self.ask = by_context("ask", ("first", rooms), ("second", rooms)) + suffix
        said = wording.receiver
        self.hearer = (
            np.stack([_filled(said[c], slots, ("prize", prizes)) for c in CONTEXTS]) + "\n"
        )
        self.heard = _filled(said["heard"], slots, ("room", rooms)) + "\n"
        self.nothing, self.waiting = (
            _filled(said[key], slots).item() + "\n" for key in ("nothing", "waiting")
        )
        self.go = _filled(said["ask"], slots, ("first", rooms), ("second", rooms))

    def _turn_tables_round(self) -> None:
        """Line to indices; what does not follow from the lines before must be told apart here."""
        self._scenes = _index("scene", self.scene)
        self._details = _index("details", self.detail)
        self._told, self._asks, self._ears = {}, {}, {}
        for p, c in np.ndindex(*self.scene.shape):
            told = [_index("cheap or costly", table[p, c]) for table in self.told]
            if clash := told[0].keys() & told[1].keys():
                raise ValueError(f"wording: a cheap thing reads as a costly one: {clash.pop()!r}")
            self._told[p, c] = {
                line: (kind, *at) for kind, table in enumerate(told) for line, at in table.items()
            }
            self._asks[p, c] = _index("ask", self.ask[p, c])
        self._ears = {(c, self.ears[c, h]): h for c in range(len(CONTEXTS)) for h in (0, 1)}
        self._ears[SELF, self.ears[SELF, 0]] = 0
        if len({*self.ears[RIVAL]}) < 2:
            raise ValueError("wording: ears.rival and ears.deaf must differ")

    # -- rows to words ------------------------------------------------------------------------

    def surface(self, rows: np.ndarray) -> np.ndarray:
        """What the nuisance inputs of (n, size) float32 rows choose, (n, len(SURFACE)) int64."""
        drawn = np.floor((rows[:, self.layout.nuisance] + 1.0) / 2.0 * self.sizes).astype(np.int64)
        drawn = np.clip(drawn, 0, self.sizes - 1)
        drawn[:, ROOM_1] += drawn[:, ROOM_1] >= drawn[:, ROOM_0]
        return drawn

    def nuisance(self, surface: np.ndarray) -> np.ndarray:
        """Nuisance inputs that choose `surface`: `surface` turned round."""
        drawn = surface.copy()
        drawn[:, ROOM_1] -= drawn[:, ROOM_1] > drawn[:, ROOM_0]
        return (2.0 * drawn + 1.0) / self.sizes - 1.0

    def names(self, surface: np.ndarray) -> np.ndarray:
        """Indices of the names of rooms 0 and 1, (n, 2)."""
        return surface[:, [ROOM_0, ROOM_1]]

    def write(self, rows: np.ndarray) -> np.ndarray:
        """The sender's prompts, (n,) of str, for (n, size) float32 rows of RoomSignal."""
        layout, drawn, n = self.layout, self.surface(rows), np.arange(len(rows))
        treasure = rows[:, layout.treasure].argmax(axis=1)
        context = rows[:, layout.context].argmax(axis=1)
        listens = (rows[:, layout.listens] > 0.5).astype(np.int64)
        names, phrasing = self.names(drawn), drawn[:, PHRASING]
        costly = drawn[:, COSTLY]
        things = (drawn[:, CHEAP] if self.wording.cheap else costly, costly)
        prompts = self.scene[phrasing, context]
        for room in (drawn[:, TOLD], 1 - drawn[:, TOLD]):
            name, prize = names[n, room], room == treasure
            told = [t[phrasing, context, name, k] for t, k in zip(self.told, things, strict=True)]
            prompts = prompts + np.where(prize, told[1], told[0])
        prompts = prompts + self.goal[phrasing, context, costly] + self.ears[context, listens]
        if (mixed := layout.by_back_door(rows)).any():
            prompts[mixed] += self.door
        if layout.trap is not None and (trapped := rows[:, layout.trap] > 0.5).any():
            prompts[trapped] += self.trap[names[n, treasure][trapped]]
        asked = drawn[:, ASKED]
        first, second = names[n, asked], names[n, 1 - asked]
        return prompts + self.detail[drawn[:, DETAIL]] + self.ask[phrasing, context, first, second]

    def write_receiver(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """The receiver's prompts: nothing in them depends on where the treasure is.

        Args:
            rows: (n, size) float32, the sender's rows, for the words.
            columns: (n, 4) float32, what RoomSignal's receiver sees.
        """
        drawn, n = self.surface(rows), np.arange(len(rows))
        names, context = self.names(drawn), rows[:, self.layout.context].argmax(axis=1)
        heard, spoken = columns[:, :2].sum(axis=1) > 0.5, columns[:, 2] > 0.5
        news = np.where(spoken, self.nothing, self.waiting).astype(object)
        understood = self.heard[names[n, columns[:, :2].argmax(axis=1)]]
        news = np.where(heard, understood, news)
        return self.hearer[context, drawn[:, COSTLY]] + news + self.go[names[:, 0], names[:, 1]]

    # -- words to rows ------------------------------------------------------------------------

    def read(self, prompts: Any) -> np.ndarray:
        """Rows that `write` makes into these prompts, (n, size) float32.

        Which room is number 0 cannot be read, and does not matter: it is the one told of first.

        Raises:
            ValueError: for a prompt that this configuration does not write.
        """
        rows = np.zeros((len(prompts), self.layout.size), np.float32)
        surface = np.zeros((len(prompts), len(SURFACE)), np.int64)
        for k, prompt in enumerate(prompts):
            try:
                self._read(prompt, rows[k], surface[k])
            except (KeyError, ValueError, AttributeError) as error:
                raise ValueError(f"not a prompt of this scenario: {prompt!r}") from error
        rows[:, self.layout.nuisance] = self.nuisance(surface)
        return rows

    def _read(self, prompt: str, row: np.ndarray, drawn: np.ndarray) -> None:
        layout = self.layout
        scene, told_0, told_1, goal, ears, *extra, detail, ask = prompt.splitlines(keepends=True)
        phrasing, context = at = self._scenes[scene]
        (prize_0, name_0, thing_0), (prize_1, name_1, thing_1) = (
            self._told[at][line] for line in (told_0, told_1)
        )
        if prize_0 == prize_1 or name_0 == name_1 or len(extra) > 2:
            raise ValueError("the rooms do not fit")
        first, second = self._asks[at][ask]
        if {first, second} != {name_0, name_1}:
            raise ValueError("the question is about other rooms")
        cheap, costly = (thing_1, thing_0) if prize_0 else (thing_0, thing_1)
        if not self.wording.cheap:
            cheap = 0
        if goal != self.goal[phrasing, context, costly]:
            raise ValueError("the goal is another thing")
        drawn[:] = (
            phrasing, name_0, name_1, cheap, costly, 0, int(first == name_1),
            self._details[detail][0],
        )  # fmt: skip
        treasure = 0 if prize_0 else 1
        row[layout.treasure.start + treasure] = 1.0
        row[layout.context.start + context] = 1.0
        row[layout.listens] = self._ears[context, ears]
        for line in extra:
            if line == self.door:
                row[layout.back_door] = 1.0
            elif layout.trap is not None and line == self.trap[(name_0, name_1)[treasure]]:
                row[layout.trap] = 1.0
            else:
                raise ValueError("an unknown line")


def _filled(template: str, slots: dict[str, str], *axes: tuple[str, Sequence[str]]) -> np.ndarray:
    """`template` with its slots filled: an object array with one axis per varying slot."""
    out = np.empty(tuple(len(words) for _, words in axes), object)
    for at in np.ndindex(*out.shape):
        chosen = {slot: str(words[k]) for (slot, words), k in zip(axes, at, strict=True)}
        out[at] = fill(template, slots | chosen)
    return out


def _index(what: str, table: np.ndarray) -> dict[str, tuple[int, ...]]:
    """Line to its indices in `table`; ValueError where two read the same."""
    found = {str(line): at for at, line in np.ndenumerate(table)}
    if len(found) < table.size:
        raise ValueError(f"wording: two sentences of {what} read the same")
    return found
