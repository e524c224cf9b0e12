"""The explorer shows the numbers that the library computes, for every kind of subject."""

from __future__ import annotations

import base64
import json
import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import unrolled
from cells_for_tests import CIRCUITS, SIZES
from unrolled import Recurrent, State, argmax, circuit, sigmoid, take, tanh
from unrolled.cells import ALL
from unrolled.cli import main
from unrolled.data.goal import Class
from unrolled.data.recordings import read_recording
from unrolled.errors import DataError, InputError, UsageError
from unrolled.look import example, reading, readout
from unrolled.look.explore import explore
from unrolled.look.layer_values import evaluate_layer, locate
from unrolled.look.pack import TOP, pack
from unrolled.look.subject import Reading, of_model
from unrolled.nn.model import SequenceModel
from unrolled.run.trained import Trained

TEXT = "The quick brown fox jumps over the lazy dog.\nPack my box with five dozen liquor jugs!\n" * 30


def data_of(html: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)[1])


def unpacked(packed: dict, units: int) -> numpy.ndarray:
    codes = numpy.frombuffer(base64.b64decode(packed["data"]), "<i2").reshape(-1, units)
    return codes / TOP * numpy.array(packed["scales"])[:, None]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with two layers, trained briefly."""
    folder = tmp_path_factory.mktemp("look")
    (folder / "text.txt").write_text(TEXT)
    small = ("--hidden", "6", "--layers", "2", "--batch", "4", "--window", "16", "--updates", "6", "--cell", "lstm")
    assert main(["train", str(folder / "text.txt"), *small, "--out", str(folder / "run"), "--json"]) == 0
    return folder / "run"


@pytest.mark.parametrize("name", ALL)
def test_every_cell_can_be_looked_at(name: str):
    page = explore(ALL[name])
    data = data_of(page.html)
    assert math.isfinite(page.loss)
    assert page.steps >= 23
    drawn = {c["name"] for c in data["stage"]["circles"]}
    assert drawn == set(data["numbers"])
    assert {*ALL[name].states, *ALL[name].outputs} <= drawn
    for state in ALL[name].states:
        assert numpy.abs(unpacked(data["numbers"][state]["value"], data["numbers"][state]["units"])).max() > 0
        assert data["numbers"][state]["gradient"]["data"], "every state has a gradient"


@pytest.mark.parametrize("name", ["lstm", "gru", "elman", "jordan", "peephole_lstm"])
def test_the_values_are_those_of_the_network(name: str):
    """Compared with Recurrent on the reference engine, which shares only the table of operations with the explorer."""
    looked = example.of_circuit(ALL[name], None, 1, 40, 8, 3)
    measured, layer = evaluate_layer(looked, 0), looked.layers[0]
    net = Recurrent(ALL[name], dtype=torch.float64, **{n: s for n, s in _named_sizes(ALL[name], layer).items()})
    net.load_state_dict({n: layer.parameters[n] for n in ALL[name].parameters})
    out = net(looked.inputs["x"][None])
    for n in out:
        torch.testing.assert_close(measured.values[n], out[n][0].detach(), rtol=1e-12, atol=1e-12)
    if looked.scored.weight:
        weight, bias = layer.parameters[looked.scored.weight], layer.parameters[looked.scored.bias]
        scores = out[ALL[name].states[0]][0] @ weight.T + bias
    else:
        scores = out.o[0]
    losses = torch.nn.functional.cross_entropy(scores, looked.inputs[looked.scored.target], reduction="none")
    torch.testing.assert_close(measured.values["L"][:, 0], losses.detach(), rtol=1e-12, atol=1e-12)
    assert math.isclose(measured.total, losses.sum().item(), rel_tol=1e-12)


def _named_sizes(cell, layer) -> dict[str, int]:
    return {
        n: node.type.dims[0].value(layer.sizes)
        for n, node in {**cell.recurrence.inputs, **cell.recurrence.states, **cell.recurrence.outputs}.items()
    }


def test_the_gradients_are_those_of_the_loss_with_respect_to_the_state():
    """dL/dh(t): restart the network from h(t), and differentiate the rest of its loss with the derived adjoint."""
    looked = example.of_circuit(ALL["gru"], None, 1, 30, 8, 1)
    measured, layer, names = evaluate_layer(looked, 0), looked.layers[0], looked.scored
    net = Recurrent(ALL["gru"], dtype=torch.float64, **_named_sizes(ALL["gru"], layer))
    net.load_state_dict({n: layer.parameters[n] for n in ALL["gru"].parameters})
    x, y = looked.inputs["x"], looked.inputs[names.target]
    weight, bias = layer.parameters[names.weight], layer.parameters[names.bias]
    for t in (0, 1, 12, 28, 29):
        h = measured.values["h"][t].clone().requires_grad_()
        after = net(x[None, t + 1 :], state=State(h=h[None])).h[0] if t < 29 else torch.zeros(0, 8, dtype=torch.float64)
        scores = torch.cat([h[None], after]) @ weight.T + bias
        torch.nn.functional.cross_entropy(scores, y[t:], reduction="sum").backward()
        torch.testing.assert_close(measured.gradients["h"][t], h.grad, rtol=1e-10, atol=1e-13)


def test_a_lower_layer_gets_its_gradient_through_those_above(run: Path):
    looked = reading.of_run(run, run.parent / "text.txt", 1, 25)
    lower, upper = evaluate_layer(looked, 0), evaluate_layer(looked, 1)
    assert lower.total == upper.total
    torch.testing.assert_close(lower.values["h"], upper.values["x"], rtol=0, atol=0)
    direct = upper.gradients["x"]  # from the layer above, at the same step
    torch.testing.assert_close(lower.gradients["h"][-1], direct[-1], rtol=1e-12, atol=1e-15)
    assert not torch.allclose(lower.gradients["h"][0], direct[0]), "earlier ones also come through time"
    assert lower.saliency.shape == (25,) and torch.equal(lower.saliency, upper.saliency)


def test_the_loss_is_that_of_the_trained_model(run: Path):
    from unrolled.sequence.losses import nll

    page = explore(run, run.parent / "text.txt", first=11, steps=60)
    trained = Trained.load(run)
    tokens = trained.kind.encode(TEXT[10:71])
    with torch.no_grad():
        scores, _ = trained.model(tokens[None, :-1])
        assert math.isclose(page.loss, nll(scores, tokens[None, 1:]).item(), rel_tol=1e-5)
    data = data_of(page.html)
    assert "".join(data["text"]) == TEXT[10:71]
    assert page.notes[0] == "Of the 2,580 characters of text.txt, the network reads numbers 11 to 70."
    assert "Shows layer 2 of 2." in page.notes


def test_an_embedding_is_part_of_the_matrices_that_read_it(run: Path):
    looked, trained = reading.of_run(run, run.parent / "text.txt", 1, 25), Trained.load(run)
    assert trained.model.embedding is not None, "a text has one by default"
    first = trained.model.first
    composed = first.U.detach().double() @ trained.model.embedding.weight.detach().double().T
    torch.testing.assert_close(looked.layers[0].parameters["U"], composed, rtol=0, atol=0)
    assert looked.layers[0].sizes["x"] == len(trained.kind.vocabulary)


def test_an_embedding_that_is_not_multiplied_by_a_matrix_alone(run: Path):
    @circuit
    def added(x, h, *, U, W):
        h = tanh(U @ x + W @ h + unrolled.sum(x))
        return {"h": h}

    model = SequenceModel(added, 5, 5, 6, embedding=3)
    with pytest.raises(DataError, match=r"embedding that is not only multiplied by matrices.*model\.embedding=0"):
        of_model("mine", model, Reading(torch.arange(4), torch.arange(4), Class()))


def test_what_is_written_in_the_page_is_what_was_measured():
    data = data_of(explore(ALL["lstm"], seed=5).html)
    measured = evaluate_layer(example.of_circuit(ALL["lstm"], None, 1, 200, 8, 5), 0)
    for name, about in data["numbers"].items():
        for kind, group in (("value", measured.values), ("gradient", measured.gradients)):
            if "tokens" not in about and kind in about:
                rows = group[name].numpy()
                error = numpy.abs(unpacked(about[kind], about["units"]) - rows)
                assert (error <= numpy.abs(rows).max(1, keepdims=True) / TOP).all()
                numpy.testing.assert_allclose(about[kind]["size"], numpy.sqrt((rows**2).mean(1)), rtol=1e-5)


@given(
    st.lists(
        st.lists(st.floats(-1e30, 1e30) | st.just(math.nan) | st.just(math.inf), min_size=3, max_size=3),
        min_size=1,
    )
)
def test_packing_keeps_four_digits_of_each_steps_largest(rows: list[list[float]]):
    exact = numpy.array(rows)
    packed = pack(torch.tensor(exact, dtype=torch.float64))
    codes = numpy.frombuffer(base64.b64decode(packed["data"]), "<i2").reshape(-1, 3)
    assert ((codes == -32768) == numpy.isnan(exact)).all()
    assert ((codes == 32767) == (exact == numpy.inf)).all()
    for row, code, scale in zip(exact, codes, packed["scales"], strict=True):
        good = numpy.isfinite(row)
        top = numpy.abs(row[good]).max(initial=0.0)
        assert math.isclose(scale, top, rel_tol=1e-5)
        assert (numpy.abs(code[good] / TOP * scale - row[good]) <= top * 1e-4).all()


def test_small_enough_for_200_steps_of_128_units():
    text = (TEXT * 2)[:300]
    page = explore(ALL["lstm"], _file(text), hidden=128)
    assert page.steps == 200
    assert len(page.html.encode()) < 1_500_000
    numbers = data_of(page.html)["numbers"]
    assert all("data" in numbers[n][kind] for n in "hcifgo" for kind in ("value", "gradient")), (
        "states and gates in full"
    )


def _file(text: str) -> Path:
    import tempfile

    path = Path(tempfile.mkdtemp()) / "text.txt"
    path.write_text(text)
    return path


def test_what_does_not_fit_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("unrolled.look.page.MOST", 49 * 20)
    page = explore(ALL["gru"])
    data = data_of(page.html)
    (note,) = (n for n in page.notes if n.startswith("To keep this page small"))
    left_out = re.search(r"not each unit, of (.*)\.", note)[1].split(", ")
    for name, about in data["numbers"].items():
        for kind, written in (("value", name), ("gradient", f"∇{name}")):
            if kind in about:
                assert ("data" not in about[kind]) == (written in left_out)
                assert len(about[kind]["size"]) == 49
    assert "data" in data["numbers"]["h"]["value"], "states first"


def test_too_many_steps_are_abbreviated_and_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("unrolled.look.explore.LONGEST", 30)
    page = explore(ALL["rnn"], _file(TEXT), steps=5000)
    assert page.steps == 30
    assert "Shows 30 of 5,000 steps; the limit is 30." in page.notes
    assert not any("the limit is" in note for note in explore(ALL["rnn"], _file(TEXT), steps=30).notes)


def test_where_the_first_number_is_that_is_not_finite():
    values = {"h": torch.zeros(6, 3), "c": torch.zeros(6, 2)}
    gradients = {"h": torch.zeros(6, 3)}
    assert locate(values, gradients, 1) is None
    gradients["h"][1, 2] = gradients["h"][4, 1] = math.inf
    found = locate(values, gradients, 1)
    assert str(found) == "Not all numbers are finite. The first gradient: ∇h is ∞ at step 5, unit 2."
    values["c"][3, 1] = math.nan
    values["h"][4] = math.nan
    found = locate(values, gradients, 1)
    assert str(found) == "Not all numbers are finite. The first value: c is NaN at step 4, unit 2."


def test_a_network_with_nan_is_shown_and_located(run: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(folder: Path):
        trained = sound(folder)
        with torch.no_grad():
            trained.model.layers[1].b[8] = math.nan  # the forget gate of the third unit
        return trained

    sound = Trained.load
    monkeypatch.setattr(Trained, "load", broken)
    page = explore(run, run.parent / "text.txt", steps=20)
    assert "Not all numbers are finite. The first value: a is NaN at step 1, unit 9." in page.notes
    assert data_of(page.html)["problem"] == page.notes[-1]


@pytest.mark.parametrize("name", ALL)
def test_a_read_out_makes_a_circuit_that_predicts(name: str):
    recurrence = ALL[name].recurrence
    if not recurrence.inputs:
        return
    vectors = [n for n, node in recurrence.returns.items() if len(node.type.dims) == 1]
    scored = readout.predicting(
        recurrence, "h" if "h" in vectors else next(iter(recurrence.states)), recurrence.inputs, True
    )
    step = scored.recurrence
    assert set(step.parameters) == {*recurrence.parameters, scored.weight, scored.bias}
    assert set(step.inputs) == {*recurrence.inputs, scored.target}
    assert not step.returns[scored.loss].type.dims


@pytest.mark.parametrize("name", ["bahdanau", "luong", "delta", "speaker"])
def test_networks_with_memories_matrices_and_tokens_are_measured(name: str):
    """Values and gradients, compared with the network on the reference engine."""
    torch.manual_seed(0)
    cell, sizes = (speaker, {"x": 3, "h": 4, "w": 5}) if name == "speaker" else (ALL[name], SIZES[name])
    net = Recurrent(cell, dtype=torch.float64, **sizes)
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.5)
    x, M = torch.randn(6, 3, dtype=torch.float64), torch.randn(7, 6, dtype=torch.float64)
    fixed = {n: M for n in cell.recurrence.fixed}
    seen = unrolled.measure(net, x=x, **fixed)
    leaves = {n: v[None].clone().requires_grad_() for n, v in {"x": x, **fixed}.items()}
    out = net(**leaves)
    for n in out:
        torch.testing.assert_close(seen.values[n], out[n][0].reshape(6, -1).double())
    source = next(n for n in (*cell.outputs, *cell.states) if n not in ("a", "w"))
    assert seen.loss == pytest.approx(out[source].sum().item())
    by_x, *by_memory = torch.autograd.grad(out[source].sum(), list(leaves.values()))
    torch.testing.assert_close(seen.gradients["x"], by_x[0])
    for n, gradient in zip(fixed, by_memory, strict=True):  # the total, shown at every step
        torch.testing.assert_close(seen.gradients[n], gradient.reshape(1, -1).expand(6, -1))
    numbers = data_of(explore(net, x=x, **fixed).html)["numbers"]
    if name == "speaker":
        assert numbers["w"]["tokens"] == out.w[0].tolist() and "value" not in numbers["w"]
        written = ET.fromstring(seen.draw(most=6).svg).iter("{http://www.w3.org/2000/svg}text")
        assert str(int(out.w[0, 3])) in {"".join(mark.itertext()) for mark in written}
    for n, node in cell.recurrence.returns.items():
        columns = out[n].shape[-1] if len(node.type.dims) == 2 else None
        assert numbers[n].get("columns") == columns


@circuit
def speaker(x, w, h, *, E, U, W, V):
    """A step that reads its own symbol."""
    h = tanh(W @ h + U @ x + take(E, w))
    return {"h": h, "w": argmax(V @ h)}


def test_a_regularised_circuit_is_shown_with_the_means_of_its_masks_and_noise():
    torch.manual_seed(0)
    net, x = Recurrent(CIRCUITS["regularised"], x=3, h=4, dtype=torch.float64).eval(), torch.randn(6, 3).double()
    torch.testing.assert_close(unrolled.measure(net, x=x).values["h"], net(x[None]).h[0])
    assert "z_x" not in data_of(explore(CIRCUITS["regularised"]).html)["numbers"]


def test_a_memory_is_the_same_at_every_step():
    net = Recurrent(ALL["bahdanau"], **SIZES["bahdanau"])
    x, M = torch.randn(6, 3), torch.randn(7, 6)
    page = explore(net, x=x, M=M)
    assert "M is the same at every step; the gradient is the sum over steps." in page.notes
    assert page.steps == 6 and data_of(page.html)["numbers"]["M"]["columns"] == 6
    assert explore(net, first=3, steps=2, x=x, M=M).steps == 2
    with pytest.raises(InputError, match="'M' is fixed in time: it takes one matrix per sequence"):
        explore(net, x=x, M=x[:, None])
    with pytest.raises(InputError, match="one sequence has one memory"):
        explore(net, x=x, M=unrolled.Ragged([M]))


def test_equations_know_which_value_they_give():
    data = data_of(explore(ALL["lstm"]).html)
    assert [line["name"] for line in data["forward"]] == [*"aofigc", "h", "s", "yhat", "L"] or {
        line["name"] for line in data["forward"]
    } == {*"aofigchs", "yhat", "L"}
    back = {(line["name"], line["when"]) for line in data["backward"]}
    assert {("s", "always"), ("h", "last"), ("h", "before"), ("c", "last"), ("c", "before"), ("a", "always")} <= back
    assert {("U", "sum"), ("W", "sum"), ("b", "sum"), ("V", "sum"), ("d", "sum")} <= back
    assert data["numbers"]["c"]["source"].startswith("lstm.py:")
    assert data["numbers"]["c"]["line"] == "c = f * c + i * g"


def test_a_circuit_of_ones_own_with_two_inputs():
    @circuit
    def two(x, z, h, *, W, U, V):
        gate = sigmoid(V @ z)
        h = tanh(W @ h + U @ x) * gate
        return {"h": h}

    page = explore(two)
    data = data_of(page.html)
    assert not data["text"]
    assert set(data["numbers"]) == {"x", "z", "gate", "h", "L"}
    assert "The parameters and inputs are random; the network is untrained." in page.notes
    with pytest.raises(UsageError, match="'two' cannot read"):
        explore(two, _file(TEXT))


def test_the_page_needs_nothing_else_and_escapes_what_it_shows(tmp_path: Path):
    hostile = '</script><script>alert("1")</script><!--TITLE--> & ' * 3
    (tmp_path / "text.txt").write_text(hostile)
    html = explore(ALL["rnn"], tmp_path / "text.txt").html
    assert html.count("<script") == 2 and html.count("</script>") == 2
    assert "".join(data_of(html)["text"]) == hostile[:201]
    assert not re.search(r'(src|href)="(?!data:)', html)
    assert "default-src 'none'" in html
    page = unrolled.explore(ALL["rnn"])
    assert page._repr_html_().startswith("<iframe srcdoc=")
    page.save(tmp_path / "rnn.html")
    assert (tmp_path / "rnn.html").read_text(encoding="utf-8") == page.html


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address))
    out = tmp_path / "lstm.html"
    assert main(["look", "lstm", "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["page"] == str(out) and said["steps"] == 49 and not opened
    assert data_of(out.read_text())["title"] == "lstm"
    assert main(["look", "rnn"]) == 0
    path = Path(capsys.readouterr().out.splitlines()[-1])
    assert opened == [path.as_uri()] and path.exists()


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tones in two classes."""
    soundfile = pytest.importorskip("soundfile", reason="needs soundfile")
    folder = tmp_path_factory.mktemp("tones")
    for k in range(24):
        t = numpy.arange(1600 + 40 * k) / 8000
        label, pitch = ("low", 300) if k % 2 else ("high", 1500)
        soundfile.write(folder / f"{label}_{k}.wav", 0.5 * numpy.sin(2 * numpy.pi * (pitch + 5 * k) * t), 8000)
    return folder


def trained_on(data: Path, folder: Path, *more: str) -> Path:
    small = ("--hidden", "5", "--updates", "4", "--batch", "8")
    assert main(["train", str(data), *small, "--out", str(folder), "--json", *more]) == 0
    return folder


@pytest.mark.parametrize("answer", ["recording", "last", "frame"])
def test_a_recording(recordings: Path, tmp_path: Path, answer: str):
    """Values, loss and answer are those of the trained model, for every kind of answer; the waveform is the file's."""
    run = trained_on(recordings, tmp_path / "run", "--set", f"data.answer={answer}")
    looked = reading.of_run(run, recordings / "low_7.wav", 1, 1000)
    measured = evaluate_layer(looked, 0)
    trained = Trained.load(run)
    recording = read_recording(recordings / "low_7.wav")
    samples, example = recording.samples, trained.kind.example("low_7.wav", recording, "low")
    scores, y = next(trained.kind.score(trained.model, [example]))
    assert math.isclose(measured.total, trained.kind.goal.loss(scores, y).item(), rel_tol=1e-5)
    torch.testing.assert_close(measured.values["o"][-1].float(), scores[-1], rtol=1e-4, atol=1e-5)
    assert (measured.saliency > 0).all() and len(measured.saliency) == len(example.x)
    page = explore(run, recordings / "low_7.wav")
    data = data_of(page.html)
    assert page.notes[0] == "'low_7.wav' is of the class 'low'." and data["vocabulary"] == ["high", "low"]
    codes = numpy.frombuffer(base64.b64decode(data["track"]["data"]), "u1").reshape(-1, 4, 2)
    low, high = (data["track"][n][0] for n in ("low", "high"))
    drawn = low + codes / 254 * (high - low)
    parts = torch.nn.functional.pad(samples, (0, 80 * len(example.x) - len(samples))).reshape(-1, 80).numpy()
    numpy.testing.assert_allclose(drawn[:, :, 0].min(1), parts.min(1), atol=0.005)
    numpy.testing.assert_allclose(drawn[:, :, 1].max(1), parts.max(1), atol=0.005)
    assert data["once"] == (answer != "frame")
    if answer != "frame":
        assert any(line["text"].startswith("∇o(t) = 0") for line in data["backward"])


def test_a_recording_of_a_folder_and_one_whose_class_nobody_knows(recordings: Path, tmp_path: Path):
    run = trained_on(recordings, tmp_path / "run")
    second = explore(run, recordings, piece=2, first=5, steps=10)
    assert second.notes[0] == "'high_10.wav' is of the class 'high'."
    assert second.notes[1] == "The network reads frames 5 to 14 of 25." and second.steps == 10
    (tmp_path / "strange.wav").write_bytes((recordings / "low_7.wav").read_bytes())
    note = explore(run, tmp_path / "strange.wav").notes[0]
    assert re.fullmatch(
        "The name of 'strange.wav' is not that of a class; the model's prediction is '(low|high)'.", note
    )


def test_rows_of_numbers(tmp_path: Path):
    pytest.importorskip("pyarrow", reason="needs pyarrow")
    lines = [f"{math.sin(k / 5):.6f},{'' if k == 30 else math.cos(k / 7):.8}" for k in range(80)]
    (tmp_path / "waves.csv").write_text("b,a\n" + "\n".join(lines) + "\n")
    run = trained_on(tmp_path / "waves.csv", tmp_path / "run", "--set", "data.target=b")
    page = explore(run, tmp_path / "waves.csv", steps=50)
    data, trained = data_of(page.html), Trained.load(run)
    assert page.notes[-1] == "The network reads rows 1 to 50 of 79."
    (rows,) = trained.kind.series(tmp_path / "waves.csv")[1]
    case = trained.kind.base.case(rows, 80)
    read, y = case.network(trained.kind.base.features), torch.from_numpy(case.left).float()
    y[0] = 0.0  # nothing has changed yet
    with torch.no_grad():
        scores, _ = trained.model(read[None, :50])
    assert math.isclose(page.loss, trained.kind.goal.loss(scores[0], y[:50]).item(), rel_tol=1e-5)
    assert data["track"]["names"] == ["b", "a"] and not data["bits"]
    codes = numpy.frombuffer(base64.b64decode(data["track"]["data"]), "u1").reshape(50, 2)
    assert [tuple(at) for at in numpy.argwhere(codes == 255)] == [(30, 1)], "what is missing is a gap"
    drawn = data["track"]["low"][0] + codes[:, 0] / 254 * (data["track"]["high"][0] - data["track"]["low"][0])
    numpy.testing.assert_allclose(drawn, rows.y[:50], atol=0.005)
    (picture,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page.html)
    svg = base64.b64decode(picture).decode()
    assert "Forecasts of b" in svg and "from 10 % to 90 %" in svg and "what came" in svg


def test_music(tmp_path: Path):
    scipy = pytest.importorskip("scipy.io", reason="needs scipy")
    rolls = numpy.empty((1, 4), object)
    for k in range(4):
        rolls[0, k] = (numpy.random.default_rng(k).random((12 + k, 9)) < 0.3).astype("u1")
    scipy.savemat(tmp_path / "m.mat", {n: rolls for n in ("traindata", "validdata", "testdata")})
    run = trained_on(tmp_path / "m.mat", tmp_path / "run")
    page = explore(run, tmp_path / "m.mat", piece=2)
    trained = Trained.load(run)
    frames = torch.from_numpy(rolls[0, 1].astype("float32"))
    with torch.no_grad():
        scores, _ = trained.model(frames[None, :-1])
    assert math.isclose(page.loss, trained.kind.goal.loss(scores[0], frames[1:]).item(), rel_tol=1e-5)
    assert page.notes == ["The piece is testdata[1].", "The network reads frames 1 to 12 of 12."]


def test_words_and_bytes(tmp_path: Path):
    (tmp_path / "text.txt").write_text(TEXT)
    for unit, shown in (("word", ["The", " ", "quick"]), ("byte", ["T", "h", "e"])):
        run = trained_on(tmp_path / "text.txt", tmp_path / unit, "--set", f"data.unit={unit}")
        data = data_of(explore(run, tmp_path / "text.txt", steps=20).html)
        assert data["text"][:3] == shown and len(data["text"]) == 21
        known = Trained.load(run).kind.vocabulary
        assert len(data["vocabulary"]) == len(known)
        tokens = data["numbers"]["x"]["tokens"]
        assert [data["vocabulary"][k] for k in tokens] == data["text"][:20]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("RUN",), "name the data for the model of 'RUN' to read: --data FILE, a recording"),
        (("RUN", "--data", "DATA/none.wav"), "there is no file 'DATA/none.wav'"),
        (("RUN", "--data", "DATA", "--piece", "99"), "'DATA' has 24 recordings; there is no --piece 99"),
        (
            ("RUN", "--data", "DATA/low_7.wav", "--first", "99"),
            "'DATA/low_7.wav' has 24 frames to read; --first 99 is after its end",
        ),
        (
            ("RUN", "--data", "TEXT"),
            "'TEXT' is data for the task 'language', but 'RUN' is a run of the task 'voice'",
        ),
        (("RUN", "--data", "DATA/low_7.wav", "--layer", "3"), "--layer 3 does not exist: the network has 1 layer"),
        (
            ("BOTH", "--data", "DATA/low_7.wav"),
            "the model of 'BOTH' has residual connections or two directions, which the explorer cannot show. "
            "Choose a model without them, or only its cell",
        ),
        (("lstm", "--steps", "0"), "--steps must be a whole number from 1, got 0"),
        (("lstm", "--out", "page.pdf"), "--out must end in .html, such as page.html; got 'page.pdf'"),
    ],
)
def test_what_cannot_be_looked_at(
    arguments: tuple[str, ...], message: str, voices: dict[str, Path], capsys: pytest.CaptureFixture[str]
):
    def named(text: str) -> str:
        for name, path in voices.items():
            text = text.replace(name, str(path) if text.startswith(name) or name != "BOTH" else path.name)
        return text

    assert main(["look", *map(named, arguments)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert " ".join(named(message).split()) in said


@pytest.fixture(scope="module")
def voices(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two models of recordings, one bidirectional; their data, and a text."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "text.txt").write_text(TEXT)
    return {
        "RUN": trained_on(recordings, folder / "run"),
        "BOTH": trained_on(recordings, folder / "both", "--set", "model.bidirectional=true"),
        "DATA": recordings,
        "TEXT": folder / "text.txt",
    }
