import pytest
import torch

from feint.llm.packing import neighbours, pack, shared

from .tiny import ARCHITECTURES, tiny

GROUPS = [
    [[5, 6, 7, 8], [5, 6, 9], [5, 6, 7, 8, 10, 11], [12, 13]],
    [[5, 6, 7], [20, 21, 22, 23, 24]],
]
SEQUENCES = [sequence for group in GROUPS for sequence in group]


def test_what_sequences_share_is_there_once():
    packed = pack(GROUPS, pad=3)
    assert packed.ids.tolist() == [
        [5, 6, 7, 8, 9, 10, 11, 12, 13],
        [5, 6, 7, 20, 21, 22, 23, 24, 3],
    ]
    for (row, path), sequence in zip(packed.paths, SEQUENCES, strict=True):
        assert packed.ids[row, path].tolist() == sequence
        assert packed.positions[row, path].tolist() == list(range(len(sequence)))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_packed_sequence_gets_the_logits_that_it_gets_alone(architecture):
    model = tiny(architecture)
    packed = pack(GROUPS)
    with torch.no_grad():
        together = model(**packed.arguments(torch.float64, "cpu")).logits
        for (row, path), sequence in zip(packed.paths, SEQUENCES, strict=True):
            alone = model(torch.tensor([sequence])).logits[0]
            torch.testing.assert_close(
                together[row, path], alone, rtol=0, atol=1e-5
            )  # float32 softmax


def test_neighbours_share_a_beginning_and_a_row():
    sequences = [[1, 2, 3, 4], [9, 9, 9], [1, 2, 3, 5], [1, 2, 3, 4, 6]]
    groups = neighbours(sequences, width=6)
    assert sorted(map(sorted, groups)) == [[0, 2, 3], [1]]
    assert len(pack([[sequences[k] for k in groups[0]]]).ids[0]) == 6


def test_a_row_holds_no_more_distinct_tokens_than_it_may():
    generator = torch.Generator().manual_seed(0)
    sequences = torch.randint(0, 3, (60, 12), generator=generator).tolist()
    groups = neighbours(sequences, width=40)
    assert sorted(k for group in groups for k in group) == list(range(60))
    widths = [pack([[sequences[k] for k in group]]).ids.shape[1] for group in groups]
    assert max(widths) <= 40
    assert widths == sorted(widths, reverse=True)
    assert neighbours([[0] * 50, [1]], width=40) == [[0], [1]]


def test_sequences_share_their_beginning():
    assert shared([1, 2, 3], [1, 2, 4, 5]) == 2
    assert shared([1, 2], [1, 2, 3]) == 2
    assert shared([], [1]) == 0
