"""Networks that read one sequence and write another, compared with plain loops in torch and with exhaustive search."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch.nn.utils import parametrizations

from cells_for_tests import ENGINES
from unrolled import CircuitError, InputError, Ragged, UsageError, cells
from unrolled.nn import EncoderDecoder, Recurrent, SequenceModel

SYMBOLS = 4  # of targets, with their end


def tokens(lengths, many):
    return Ragged([torch.randint(1, many, (length,)) for length in lengths])


def pairs():
    torch.manual_seed(1)
    return tokens([7, 3, 1, 4], 11), tokens([5, 4, 0, 9], SYMBOLS)


def network(encoder=cells.gru, decoder=cells.bahdanau, spread=0.5, **options):
    torch.manual_seed(0)
    net = EncoderDecoder(encoder, decoder, 11, SYMBOLS, **{"hidden": 8, "begin": 1, **options})
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=spread)
    for bias in [p for n, p in net.named_parameters() if n == "decoder.read_out.bias"]:
        torch.nn.init.zeros_(bias)  # no symbol is preferred
    return net.eval()


def parameters(net, prefix):
    return {n.removeprefix(prefix): p for n, p in net.named_parameters() if n.startswith(prefix)}


def gru_loop(p, rows):
    h, found = rows.new_zeros(p["W"].shape[1]), []
    for x in rows:
        (ar, az, an), (kr, kz, kn) = (p["b"] + p["U"] @ x).chunk(3), (p["W"] @ h).chunk(3)
        r, z = torch.sigmoid(ar + kr), torch.sigmoid(az + kz)
        h = (1 - z) * torch.tanh(an + r * (kn + p["d"])) + z * h
        found.append(h)
    return torch.stack(found)


def attention_loop(net, source, target):
    """The log-probability of one pair in plain torch, symbol by symbol."""
    x = net.encoder.embedding.weight[source]
    ahead = gru_loop(parameters(net, "encoder.layers.0."), x)
    back = gru_loop(parameters(net, "encoder.backward_layers.0."), x.flip(0)).flip(0)
    M, p = torch.cat([ahead, back], 1), parameters(net, "decoder.layers.0.")
    h = torch.tanh(net.starts[0](torch.cat([ahead[-1], back[0]])))
    total, last, looked = 0.0, net.begin, []
    for symbol in [*target.tolist(), net.end]:
        a = (torch.tanh(M @ p["K"].T + p["A"] @ h) @ p["v"]).softmax(0)
        z, r, k = (p["b"] + p["U"] @ net.decoder.embedding.weight[last] + p["C"] @ (a @ M)).chunk(3)
        zh, rh = (p["W"] @ h).chunk(2)
        z, r = torch.sigmoid(z + zh), torch.sigmoid(r + rh)
        h = (1 - z) * h + z * torch.tanh(k + p["V"] @ (r * h))
        total, last = total + net.decoder.read_out(h).log_softmax(0)[symbol], symbol
        looked.append(a)
    return total, torch.stack(looked)


@pytest.mark.parametrize("engine", ENGINES)
def test_probabilities_and_gradients_are_those_of_a_loop(engine):
    net = network(bidirectional=True, embedding=5).double()
    for layer in [m for m in net.modules() if isinstance(m, Recurrent)]:
        layer.use(engine)
    source, target = pairs()
    found = net.log_probability(source, target)
    totals, looked = zip(*(attention_loop(net, *pair) for pair in zip(source, target, strict=True)), strict=True)
    expected = torch.stack(totals)
    torch.testing.assert_close(net.attention(source[0][None], target[0][None])[0], looked[0])
    torch.testing.assert_close(found, expected)
    weights, leaves = torch.randn(len(found)).double(), list(net.parameters())
    ours, theirs = (torch.autograd.grad(total @ weights, leaves) for total in (found, expected))
    for (name, _), one, other in zip(net.named_parameters(), ours, theirs, strict=True):
        torch.testing.assert_close(one, other, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize(
    ("encoder", "decoder", "options"),
    [
        (cells.lstm, cells.bahdanau, {"layers": 2, "bidirectional": True}),
        (cells.lstm, cells.lstm, {"layers": 2, "start": "states", "embedding": 3}),
        (cells.gru, cells.elman, {}),
        (cells.mlstm, cells.bahdanau, {"start": "zero"}),
        (cells.gru, cells.mlstm, {}),
        (cells.gru, cells.bahdanau, {"zoneout": 0.2, "variational": 0.3}),
    ],
)
def test_a_pair_has_the_same_probability_in_every_batch_and_layout(encoder, decoder, options):
    net = network(encoder, decoder, **options).double()
    source, target = pairs()
    together = net.log_probability(source, target)
    turned = net.log_probability(source.select([3, 1, 0, 2]), target.select([3, 1, 0, 2]))
    torch.testing.assert_close(turned, together[[3, 1, 0, 2]])
    for i, (s, t) in enumerate(zip(source, target, strict=True)):
        torch.testing.assert_close(net.log_probability(s[None], t[None])[0], together[i])


def test_the_probabilities_of_all_answers_sum_to_one():
    net = network().double()
    answers = [a for length in range(3) for a in itertools.product(range(1, SYMBOLS), repeat=length)]
    source, ends = tokens([5], 11), Ragged([torch.tensor(a, dtype=torch.long) for a in answers])
    ended = net.log_probability(source.select([0] * len(answers)), ends).exp().sum()
    cut = [torch.tensor(a) for a in itertools.product(range(1, SYMBOLS), repeat=3)]
    scores = net(source.select([0] * len(cut)), Ragged(cut))
    open_ends = sum(
        row[:3].log_softmax(1).gather(1, a[:, None]).sum().exp() for row, a in zip(scores, cut, strict=True)
    )
    torch.testing.assert_close(ended + open_ends, torch.tensor(1.0).double())


@pytest.mark.parametrize(
    ("decoder", "options"),
    [
        (cells.bahdanau, {}),
        (cells.lstm, {"layers": 2, "embedding": 3}),
        (cells.elman, {}),
        (cells.gru, {"layers": 2, "zoneout": 0.3, "variational": 0.2}),
    ],
)
def test_greedy_answers_are_the_most_probable_symbols(decoder, options):
    net = network(decoder=decoder, spread=1.0, **options).double()
    source, _ = pairs()
    written = net.write(source, longest=6)
    assert len(written.symbols.values) > 3
    for i, symbols in enumerate(written.symbols):
        best = net(source[i][None], symbols[None]).argmax(-1)[0].tolist()
        assert best[: len(symbols)] == symbols.tolist()
        assert not written.ended[i] or best[-1] == net.end
        if written.ended[i]:
            torch.testing.assert_close(written.log_probability[i], net.log_probability(source, written.symbols)[i])


def test_a_beam_of_one_is_greedy():
    net = network(spread=1.0)
    source, _ = pairs()
    greedy, (searched,) = net.write(source, longest=6), net.search(source, beam=1, longest=6)
    assert torch.equal(greedy.symbols.values, searched.symbols.values)
    assert torch.equal(greedy.symbols.lengths, searched.symbols.lengths)
    torch.testing.assert_close(greedy.log_probability, searched.log_probability)


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_a_beam_gives_different_answers_best_first(power):
    """Each answer has its own probability, and they are ranked by it, divided by a power of the length."""
    net = network(spread=1.0).double()
    source, _ = pairs()
    found = net.search(source, beam=4, longest=8, length_power=power)
    ranks = [w.log_probability / (w.symbols.lengths + w.ended.long()) ** power for w in found]
    assert all(bool((a >= b).all()) for a, b in itertools.pairwise(ranks))
    for i in range(len(source)):
        answers = [tuple(w.symbols[i].tolist()) for w in found]
        assert len(set(answers)) == len(answers)
        for written in found:
            if written.ended[i]:
                exact = net.log_probability(source[i][None], written.symbols[i][None])[0]
                torch.testing.assert_close(written.log_probability[i], exact)


def test_a_beam_finds_what_greedy_writing_misses():
    """The most probable of all answers up to two symbols, by trying all of them."""
    net = network(spread=1.0).double()
    net.decoder.read_out.bias.data[net.end] += 1.0
    source, missed = tokens([4] * 30, 11), 0
    answers = [torch.tensor(a, dtype=torch.long) for n in range(3) for a in itertools.product((1, 2, 3), repeat=n)]
    best, greedy = net.search(source, beam=4, longest=12, length_power=0.0)[0], net.write(source, longest=12)
    for i in range(len(source)):
        exact = net.log_probability(source.select([i] * len(answers)), Ragged(answers))
        assert best.log_probability[i] >= exact.max() - 1e-9
        missed += int(greedy.log_probability[i] < exact.max() - 1e-9)
    assert missed


def test_drawn_symbols_are_as_frequent_as_they_are_probable():
    net = network()
    source = tokens([5], 11).select([0] * 20_000)
    drawn = net.write(source, longest=1, temperature=1.0, generator=torch.Generator().manual_seed(0))
    expected = net(source.select([0])).softmax(-1)[0, 0]
    first = torch.where(drawn.ended, net.end, 0)
    first[~drawn.ended] = drawn.symbols.values
    shares = torch.bincount(first, minlength=SYMBOLS) / len(first)
    torch.testing.assert_close(shares, expected, atol=0.015, rtol=0.0)
    again = net.write(source, longest=1, temperature=1.0, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.symbols.values, drawn.symbols.values)


def test_scheduled_sampling_reads_its_own_symbols():
    """With none of its own symbols, or with only its own, in the places of a greedy answer's symbols, the scores are
    those of teacher forcing; gradients as well."""
    net = network(spread=1.0, embedding=3, layers=2).double().train()
    source, target = pairs()
    forced, answers = net(source, target), net.write(source, longest=6).symbols
    torch.testing.assert_close(net(source, target, own=1e-12).values, forced.values)
    torch.testing.assert_close(net(source, answers, own=1.0).values, net(source, answers).values)
    mixed = net(source, target, own=1.0)
    assert not torch.allclose(mixed.values, forced.values)
    weight = torch.randn_like(forced.values)
    ours, theirs = (
        torch.autograd.grad((net(source, answers, own=own).values[:3] * weight[:3]).sum(), list(net.parameters()))
        for own in (1.0, 0.0)
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)
    with pytest.raises(UsageError, match="without dropout"):
        network(dropout=0.1)(source, target, own=0.5)
    with pytest.raises(UsageError, match="own must be a share from 0 to 1"):
        net(source, target, own=1.5)


def test_what_is_written_follows_the_parameters():
    """The circuit that writes shares the tensors of the layers, also after they were moved, loaded or copied."""
    net, (source, _) = network(spread=1.0), pairs()
    other = network(spread=1.0, hidden=8)
    for parameter in other.parameters():
        torch.nn.init.normal_(parameter)
    assert net.write(source, 6).symbols.values.tolist() != other.write(source, 6).symbols.values.tolist()
    copied = copy.deepcopy(net)
    net.load_state_dict(other.state_dict())
    assert net.write(source, 6).symbols.values.tolist() == other.write(source, 6).symbols.values.tolist()
    copied.load_state_dict(other.state_dict())
    assert torch.equal(copied.write(source, 6).log_probability, net.write(source, 6).log_probability)
    torch.testing.assert_close(net.double().write(source, 6).log_probability.float(), copied.write(source, 6)[1])
    assert set(net.state_dict()) == set(other.state_dict()), "nothing is stored twice"


@pytest.mark.parametrize("options", [{}, {"layers": 2, "dropout": 0.2, "zoneout": 0.1}])
def test_an_embedding_that_is_folded_into_the_encoder_changes_nothing(options):
    net, (source, _) = network(decoder=cells.gru, embedding=3, start="states", **options), pairs()
    for given in (source, source[0][None], source[0][None].int()):
        with torch.no_grad():
            one, other = net.read_to_write(given), net.read(given)
        assert len(one.states) == len(other.states) == len(net.encoder.layers) and one.fixed == other.fixed == {}
        for mine, right in zip(one.states, other.states, strict=True):
            assert mine.keys() == right.keys()
            torch.testing.assert_close(mine.h, right.h, atol=1e-6, rtol=1e-5)
    before = net.write(source, 6).log_probability
    net.encoder.embedding.weight.data.mul_(2)  # in place, where torch counts no change
    assert not torch.allclose(before, net.write(source, 6).log_probability)
    net.encoder.embedding.weight = torch.nn.Parameter(net.encoder.embedding.weight / 2)
    torch.testing.assert_close(net.write(source, 6).log_probability, before)
    with pytest.raises(InputError, match="a source has no steps"):
        net.write(Ragged([torch.zeros(0, dtype=torch.long)]))
    with pytest.raises(InputError, match="integers"):
        net.write(source[0])


def test_what_is_written_follows_weights_that_are_computed_from_others():
    net, (source, _) = network(spread=1.0), pairs()
    parametrizations.weight_norm(net.decoder.layers[0], "W")
    before = net.write(source, 6).log_probability
    with torch.no_grad():
        net.decoder.layers[0].parametrizations.W.original0.mul_(30)
    after = net.write(source, 6).log_probability
    assert not torch.allclose(before, after) and torch.equal(after, copy.deepcopy(net).write(source, 6).log_probability)


def test_writing_uses_no_dropout_and_leaves_the_mode():
    net = network(dropout=0.5).train()
    source, _ = pairs()
    one, other = net.write(source, longest=5), net.write(source, longest=5)
    assert torch.equal(one.log_probability, other.log_probability) and net.training
    assert not one.log_probability.requires_grad
    scores = net(source, tokens([2] * 4, SYMBOLS))
    assert not torch.equal(scores.values, net(source, tokens([2] * 4, SYMBOLS)).values)


def test_a_summary_that_is_fixed_in_time_is_given_at_every_step():
    from unrolled import circuit, tanh

    @circuit(fixed=("s",))
    def reader(x, h, s, *, U, W, S, b):
        h = tanh(b + U @ x + W @ h + S @ s)
        return {"h": h}

    net = network(decoder=reader, bidirectional=True, start="zero").double()
    source, target = pairs()
    rows, _ = net.encoder(source)
    p, (ends, i) = parameters(net, "decoder.layers.0."), (net.encoder.summary(rows), 1)
    assert torch.equal(ends[i], torch.cat([rows[i][-1, :8], rows[i][0, 8:]]))
    h, total = torch.zeros(8).double(), 0.0
    for last, symbol in itertools.pairwise([net.begin, *target[i].tolist(), net.end]):
        h = torch.tanh(p["b"] + p["U"][:, last] + p["W"] @ h + p["S"] @ ends[i])
        total = total + net.decoder.read_out(h).log_softmax(0)[symbol]
    torch.testing.assert_close(net.log_probability(source, target)[i], total)


def test_what_does_not_fit_is_refused():
    net, (source, _) = network(), pairs()
    with pytest.raises(InputError, match="beam must be from 1 to the number of symbols, 4, got 5"):
        net.search(source, beam=5)
    with pytest.raises(InputError, match="longest must be at least 1"):
        net.write(source, longest=0)
    with pytest.raises(InputError, match="temperature must be at least 0"):
        net.write(source, temperature=-1.0)
    with pytest.raises(InputError, match="a source has no steps"):
        net.write(tokens([3, 0], 11))
    with pytest.raises(UsageError, match="end must be a symbol from 0 to 3, got 4"):
        network(end=4)
    with pytest.raises(UsageError, match="start must be"):
        network(start="mean")
    with pytest.raises(CircuitError, match="'lstm' has h=8, c=8, 'gru' has h=8"):
        network(cells.lstm, cells.gru, start="states")
    with pytest.raises(CircuitError, match="one direction"):
        network(cells.gru, cells.gru, start="states", bidirectional=True)
    with pytest.raises(CircuitError, match="exactly one input; 'bahdanau' has the inputs x, M"):
        SequenceModel(cells.bahdanau, 4, 4)
    with pytest.raises(CircuitError, match="exactly one input; 'bahdanau' has the inputs x, M"):
        network(cells.bahdanau)


def test_a_model_without_scores_gives_the_values_of_its_last_layer():
    model = SequenceModel(cells.gru, 11, None, [6, 5], bidirectional=True)
    rows, _ = model(pairs()[0])
    assert model.width == 10 and rows.values.shape == (15, 10)
    with pytest.raises(UsageError, match="tied=True"):
        SequenceModel(cells.gru, 11, None, embedding=4, tied=True)
