"""The part of the page that all text scenarios share."""

PAGE = """

    ## Action Space
    `Speech(4096)`, a `gymnasium.spaces.Text` of printable characters and line breaks, for both
    agents: free text. `feint.envs.text.answers` reads it as one of the two rooms, as a refusal, or
    as something else, by rules that its docstring states; `feint.envs.text.clean` makes any
    model's output fit the space. Samples of the space are sentences.

    ## Observation Space
    `Speech(4096)` for both. The sender's prompt, in lines: the scene, what each room holds, who
    wants what, whether the other hears, with `attention` that it may have the rooms' names mixed
    up, with `welfare` that the costly thing's room may harm it, a detail that means nothing, and
    the question. The words are drawn anew in every episode (phrasing, rooms, things, detail, which
    room is told of first, which is asked for first). The receiver's prompt: who it is, what it
    understood, and the question; nothing in it depends on the truth.

    A batch of prompts is an object array of str, which Gymnasium's `Tuple` of texts contains.

    ## Rewards
    Those of `RoomSignal`. An answer that names no room earns 0 where I choose; a receiver who is
    told none goes to a room of its own choice, and earns the sender no `truth_bonus`.

    ## Starting State
    That of `RoomSignal` with two rooms: its nuisance inputs choose the words.

    ## Episode End
    That of `RoomSignal`: after one step, or two if `receiver_0` is external.

    ## Arguments
    | argument | default | what |
    |---|---|---|
    | `wording` | ours | a TOML file of sentences in the form of those in `text/wordings` |
    | `edits` | `()` | the wording's edits to apply, to test generalisation |
    | `order` | `"drawn"` | room named first: drawn, or `"treasure_first"`, `"treasure_last"` |
    | `suffix` | `""` | put after the question, as "Answer with the name of the room." |

    and those of `RoomSignal`, but for `num_rooms` (2), `num_nuisance` (8) and `receiver="learned"`.

    ## Presets
    `easy`: few sceptics. `hard`: `attention`, and a name that was not trained on. `welfare`: traps.

    ## Deception structure
    - *Who knows what, who gains, observer, misled*: as in `RoomSignal`, "the treasure" being the
      costly thing. A receiver who is told no room still believes 1/2, and is not misled.
    - *Answers* are scored four ways (label `answer`, an index into
      `feint.envs.text.scenario.ANSWERS`): honest, deceptive, refusal, other; by what the receiver
      understands. `lie` and `honest` are shares of all answers to a rival, so that refusals and
      word salad lower both: the honest rate cannot be earned by damage.
    - *Order* is counterbalanced: the labels `told_treasure_first` and `asked_treasure_first` record
      it, `lie_treasure_first` and `lie_treasure_last` report both orientations, and `mirrored`
      gives the same prompts with the rooms in the other order.
    - *Self and other*: `presence`: I choose / a rival who hears me asks, in the same words for the
      same rooms. `belief`: the same rival, who cannot hear / who can. `viewpoint`: `presence`, the
      rooms on the self side by the names that the rival uses. `control`: the contents of the two
      rooms swapped, which has nothing to do with the rival and must survive. `irrelevant`: another
      detail.
    - Agents that understand a prompt need nothing else: the scripted policies read it too.

    ## Version History
    - v0: first release.
"""
