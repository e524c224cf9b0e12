"""The explorer in a real browser: what a reader sees, with mouse and keyboard."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest

from chromium import chromium, show
from unrolled.cells import ALL
from unrolled.cli import main
from unrolled.look import example, reading
from unrolled.look.explore import explore
from unrolled.look.layer_values import LayerValues, evaluate_layer

pytestmark = pytest.mark.slow
SEED, STEPS = 4, 49


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, made = tmp_path_factory.mktemp("pages"), {}
    for name in ("lstm", "jordan", "layernorm_lstm", "autonomous", "bahdanau"):
        made[name] = folder / f"{name}.html"
        made[name].write_text(explore(ALL[name], seed=SEED).html, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def measured() -> LayerValues:
    return evaluate_layer(example.of_circuit(ALL["lstm"], None, 1, 200, 8, SEED), 0)


@pytest.fixture
def page(browser: Any, pages: dict[str, Path]) -> Callable[..., Any]:
    """Open a page; at the end the browser's log must be empty."""

    def open_page(name: str = "lstm", **how: Any) -> Any:
        show(browser, pages[name], **how)
        settle(browser)
        return browser

    yield open_page  # type: ignore[misc]
    assert browser.get_log("browser") == []


def settle(browser: Any) -> None:
    """Wait until the animation has ended."""
    for _ in range(100):
        if browser.execute_script("return now.unfolded === (turn.open ? 1 : 0) && now.shownTime === now.t"):
            time.sleep(0.05)
            return
        time.sleep(0.03)
    raise AssertionError("the picture does not come to rest")


def click(browser: Any, name: str) -> None:
    browser.find_element("id", name).click()
    settle(browser)


def press(browser: Any, *keys: str) -> None:
    from selenium.webdriver import ActionChains

    ActionChains(browser).send_keys(*keys).perform()
    settle(browser)


def circles(browser: Any) -> dict[str, tuple[float, float]]:
    """The positions of the visible circles, by their accessible names."""
    found = browser.execute_script("""
        return [...document.querySelectorAll("#stage .node[role=button]")].map((node) => {
            const box = node.getBoundingClientRect();
            const seen = getComputedStyle(node.parentNode).display !== "none" && box.width > 0;
            return [node.getAttribute("aria-label").split(":")[0], box.x + box.width / 2, box.y + box.height / 2, seen];
        })""")
    return {name: (x, y) for name, x, y, seen in found if seen}


def test_a_memory_has_a_circle_a_legend_and_entries(page):
    browser = page("bahdanau")
    memory = browser.find_element("css selector", "#stage .node.fixed")
    assert memory.find_element("css selector", ".shape").get_attribute("width") and "(" not in memory.text
    assert "input fixed in time" in browser.find_element("id", "legend").text
    memory.click()
    assert browser.find_element("id", "map-value-says").text.startswith("M: 6 × 3 entries, row by row, × 24 steps")
    assert "row 1, column 1" in browser.find_element("id", "value-numbers").text


def test_it_unfolds_and_folds(page: Callable[..., Any]):
    browser = page()
    browser.execute_script("go(5)")
    settle(browser)
    folded = circles(browser)
    assert set(folded) == {f"{n} at step 5" for n in (*"xyhcaifgos", "yhat", "L")}
    click(browser, "unfold")
    flat = circles(browser)
    assert {"h at step 4", "h at step 5", "h at step 6"} <= set(flat)
    gaps = [flat[f"{n} at step {t + 1}"][0] - flat[f"{n} at step {t}"][0] for n in "hcx" for t in (4, 5)]
    assert max(gaps) - min(gaps) < 1 and gaps[0] > 60, "one column per step, at equal distances"
    assert flat["h at step 4"][1] == pytest.approx(flat["h at step 6"][1], abs=0.5), "memory paths are straight"
    assert browser.find_element("id", "unfold").text == "Fold"
    click(browser, "unfold")
    again = circles(browser)
    assert set(again) == set(folded)
    assert all(again[name] == pytest.approx(folded[name]) for name in folded)


def test_unfolding_is_one_smooth_motion(page: Callable[..., Any]):
    browser = page()
    browser.execute_script("go(5)")
    settle(browser)
    places = []
    for part in (0.02, 0.25, 0.5, 0.75, 1):
        browser.execute_script("now.unfolded = arguments[0]; renderStage()", part)
        at = circles(browser)
        places.append(at["c at step 6"][0] - at["c at step 5"][0])
    assert places == sorted(places) and len(set(places)) == 5
    halves = browser.execute_script("""
        now.unfolded = 0.5; renderStage();
        return [...columns.get(5).wires.querySelectorAll(".delay")].map((s) => s.getBoundingClientRect().width)""")
    assert halves and all(0 < w < 11 for w in halves), "the black squares dissolve on the way"


def test_it_plays_forward(page: Callable[..., Any]):
    browser = page()
    click(browser, "unfold")
    lines = len(browser.find_elements("css selector", "#forward-lines button"))
    browser.execute_script("direct(true); direct(false); render()")
    assert browser.execute_script("return [now.t, now.line]") == [1, 0]
    seen = []
    for _ in range(lines + 1):
        active = browser.find_elements("css selector", "#equations [aria-current=step]")
        seen.append([element.text for element in active])
        click(browser, "next")
    assert all(len(texts) == 1 for texts in seen), "one equation at a time"
    assert len({texts[0] for texts in seen}) == lines
    assert browser.execute_script("return [now.t, now.line]") == [2, 1]
    assert browser.execute_script("return [valueKnown('L', 1), valueKnown('a', 2), valueKnown('L', 2)]") == [1, 1, 0]
    click(browser, "previous")
    assert browser.execute_script("return [now.t, now.line]") == [2, 0]
    browser.execute_script("document.getElementById('pace').value = 'step'")
    click(browser, "forward")
    time.sleep(1.6)
    assert browser.execute_script("return now.playing && !now.backward && now.t > 2")
    click(browser, "forward")
    assert not browser.execute_script("return now.playing")


def test_it_plays_backward_along_the_gradients_equations(page: Callable[..., Any]):
    browser = page()
    browser.execute_script("document.getElementById('pace').value = 'step'; play(true)")
    time.sleep(1.8)
    assert browser.execute_script("return now.backward && now.t < last && now.unfolded") == 1
    browser.execute_script("pause(); go(30)")
    settle(browser)
    known = browser.execute_script("return [29, 30, 31].map((t) => gradientKnown('h', t))")
    assert known == [False, True, True]
    labels = {e.get_attribute("aria-label") for e in browser.find_elements("css selector", "#stage .node[role=button]")}
    assert any(label.startswith("h at step 31") and ", gradient " in label for label in labels)
    assert not any(label.startswith("h at step 29") and ", gradient " in label for label in labels)
    shown = browser.execute_script("""
        return [29, 30, 31].map((t) => columns.get(t).wires.querySelectorAll("g:not(.hide) > .back").length)""")
    assert shown[0] == 0 and 0 < shown[1] <= shown[2]
    browser.execute_script("document.getElementById('pace').value = 'equation'; now.line = linesAt(30)[0]; render()")
    texts = []
    for _ in browser.execute_script("return linesAt(30)"):
        texts.append(browser.find_element("css selector", "#equations [aria-current=step]").text)
        click(browser, "next")
    assert len(set(texts)) == len(texts) and any("t < τ" in text for text in texts)
    assert browser.execute_script("return now.t") == 29
    assert not any("h(τ)" in text for text in texts), "the equation of the last step holds there only"


def shown_numbers(browser: Any) -> dict[str, str]:
    terms = [e.text for e in browser.find_elements("css selector", "#value-numbers dt")]
    return dict(zip(terms, (e.text for e in browser.find_elements("css selector", "#value-numbers dd")), strict=True))


def as_number(text: str) -> float:
    return float(text.replace("−", "-"))


def test_it_shows_the_values_that_the_library_computes(page: Callable[..., Any], measured: LayerValues):
    browser = page()
    for name, t, unit in (("h", 1, 0), ("c", 17, 3), ("o", 30, 7), ("a", 49, 31), ("s", 8, 2)):
        browser.execute_script("now.unit = arguments[1]; choose(arguments[0], arguments[2])", name, unit, t)
        settle(browser)
        shown = shown_numbers(browser)
        for kind, group in (("value", measured.values), ("gradient ∇", measured.gradients)):
            row = group[name][t - 1]
            said = as_number(shown[f"{kind}, unit {unit + 1} of {len(row)}"])
            assert said == pytest.approx(float(row[unit]), abs=float(row.abs().max()) / 15000)
            assert as_number(shown[f"{kind}, root mean square"]) == pytest.approx(
                float((row**2).mean().sqrt()), rel=1e-4
            )
        label = browser.find_element("css selector", f"#stage [aria-label^='{name} at step {t}:']").get_attribute(
            "aria-label"
        )
        assert as_number(label.split(": ")[1].split(",")[0]) == pytest.approx(
            float((measured.values[name][t - 1] ** 2).mean().sqrt()), rel=6e-3
        )
    assert "lstm.py:" in browser.execute_script(
        "choose('c', 5); return document.getElementById('value-source').textContent"
    )
    equation = browser.find_element("id", "value-equation").text
    assert "(5)" in equation and "(4)" in equation


def test_hovering_over_a_circle_shows_its_value_equation_and_source(page: Callable[..., Any], measured: LayerValues):
    from selenium.webdriver import ActionChains

    browser = page()
    browser.execute_script("unfold(true); go(5)")
    settle(browser)
    chosen = browser.find_element("id", "value-name").text
    node = browser.find_element("css selector", "#stage [aria-label^='f at step 4:'] .shape")
    ActionChains(browser).move_to_element(node).perform()
    assert browser.find_element("id", "value-name").text.startswith("f(4)")
    assert "σ(a" in browser.find_element("id", "value-equation").text
    assert "lstm.py:15" in browser.find_element("id", "value-source").text
    assert as_number(shown_numbers(browser)["value, unit 1 of 8"]) == pytest.approx(
        float(measured.values["f"][3, 0]), rel=1e-3
    )
    ActionChains(browser).move_to_element(browser.find_element("id", "notes")).perform()
    assert browser.find_element("id", "value-name").text == chosen


def test_the_whole_tables_are_those_of_the_library(page: Callable[..., Any], measured: LayerValues):
    browser = page()
    for kind, group in (("value", measured.values), ("gradient", measured.gradients)):
        for name in "hcifgos":
            got = browser.execute_script(
                "const [n, k] = arguments, u = numbers[n].units; "
                "const at = (i) => number(n, k, first + Math.floor(i / u), i % u); "
                "return Array.from({length: (last - first + 1) * u}, (_, i) => at(i))",
                name,
                kind,
            )
            rows = group[name]
            error = (rows - rows.new_tensor(got).reshape(rows.shape)).abs()
            assert (error <= rows.abs().amax(1, keepdim=True) / 30000).all()


def test_the_loss_and_what_comes_next(page: Callable[..., Any], measured: LayerValues):
    browser = page()
    browser.execute_script("go(20)")
    bits = float(measured.values["L"][19]) / math.log(2)
    assert as_number(
        browser.find_element("css selector", "#next-characters p").text.split(" of ")[1].split()[0]
    ) == pytest.approx(bits, rel=6e-3)
    shown = [as_number(e.text.split()[-1]) for e in browser.find_elements("css selector", "#next-characters .bar")]
    best = measured.values["yhat"][19].sort(descending=True).values[:5]
    assert shown == pytest.approx(best.tolist(), rel=6e-3)
    assert f"{measured.total:.5g}" in browser.find_element("id", "notes").text


def test_the_text_is_coloured_by_a_unit_by_surprise_and_by_saliency(page: Callable[..., Any], measured: LayerValues):
    browser = page()
    assert browser.find_element("id", "text").text.startswith("I went to Nepal in 2009.")
    expected = {
        "unit": measured.values["c"][:, 2].tolist(),
        "surprise": [None, *(measured.values["L"][:-1, 0] / math.log(2)).tolist()],
        "saliency": measured.saliency.tolist(),
        "none": [None] * STEPS,
    }
    for how, values in expected.items():
        browser.execute_script(
            "now.unit = 2; document.getElementById('colour').value = arguments[0]; choose('c', 3)", how
        )
        spans = browser.execute_script(
            "return [...document.getElementById('text').children].map((s) => [s.title, s.style.background])"
        )
        for (title, background), value in zip(spans, values, strict=True):
            if value is None:
                assert title == "" and "0)" in background
            else:
                assert as_number(title) == pytest.approx(value, rel=6e-3, abs=1e-4)
    browser.find_elements("css selector", "#text span")[12].click()
    assert browser.execute_script("return now.t") == 13


def test_the_heat_maps(page: Callable[..., Any], measured: LayerValues):
    browser = page()
    browser.execute_script("choose('h', 5)")
    for kind, rows in (("value", measured.values["h"]), ("gradient", measured.gradients["h"])):
        pixels = browser.execute_script(
            "const c = document.querySelector(`#map-${arguments[0]} canvas`); "
            "return [c.width, c.height, [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]]", kind,
        )  # fmt: skip
        wide, high, data = pixels
        assert (wide, high) == (STEPS, 8)
        strength = rows.abs() / rows.abs().max()
        for t in range(0, STEPS, 7):
            for unit in range(8):
                red, _, blue, alpha = data[4 * (unit * STEPS + t) :][:4]
                assert alpha == pytest.approx(255 * float(strength[t, unit]), abs=2)
                if alpha > 60:
                    assert (red > blue) == (float(rows[t, unit]) > 0), "orange above zero, blue below"
    box = browser.find_element("id", "map-value")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'}); arguments[0].focus()", box)
    from selenium.webdriver import Keys

    press(browser, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
    assert browser.execute_script("return [now.unit, now.t]") == [2, 6]
    assert browser.find_element("id", "unit").get_attribute("value") == "3"


def test_the_keyboard_does_everything(page: Callable[..., Any]):
    from selenium.webdriver import Keys

    browser = page()
    press(browser, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert browser.execute_script("return now.t") == 3
    assert (
        browser.find_element("id", "status").text.startswith("Step 3 of 49. h: ")
        or "Step 3 of 49" in browser.find_element("id", "status").text
    )
    press(browser, Keys.END)
    assert browser.execute_script("return now.t") == STEPS
    press(browser, Keys.HOME, "u")
    assert browser.execute_script("return [now.t, now.unfolded]") == [1, 1]
    press(browser, "b")
    assert browser.execute_script("return now.playing && now.backward")
    press(browser, " ")
    assert not browser.execute_script("return now.playing")
    press(browser, "f")
    assert browser.execute_script("return now.playing && !now.backward")
    press(browser, " ", ".", ".", ",")
    assert browser.execute_script("return now.line") == 1
    browser.execute_script("document.body.focus(); go(7)")
    settle(browser)
    order = []
    for _ in range(70):
        press(browser, Keys.TAB)
        order.append(
            browser.execute_script(
                "const e = document.activeElement; return e.getAttribute('aria-label') || e.id || e.textContent"
            )
        )
    assert any(str(name).startswith("h at step 7") for name in order), "circles are reached"
    assert {"unfold", "forward", "backward", "time", "pace", "colour", "unit"} <= set(order)
    assert any(str(name).startswith("The text; arrow keys") for name in order)
    browser.execute_script("columns.get(7).nodes.get('g').node.focus()")
    assert "g" in browser.find_element("id", "value-name").text
    press(browser, Keys.ENTER)
    assert browser.execute_script("return now.name") == "g"
    press(browser, Keys.ARROW_LEFT)
    focused = browser.execute_script("return document.activeElement.getAttribute('aria-label')")
    assert focused.startswith("g at step 6"), "focus moves along"


def test_everything_has_a_name_for_screen_readers(page: Callable[..., Any]):
    browser = page()
    nameless = browser.execute_script("""
        const named = (e) => e.getAttribute("aria-label") || (e.labels && e.labels.length) || e.textContent.trim();
        const all = document.querySelectorAll("button, input, select, section, [role=button], [role=group], .map");
        return [...all].filter((e) => !named(e)).map((e) => e.outerHTML)""")
    assert nameless == []
    assert browser.find_element("id", "status").get_attribute("aria-live") == "polite"
    words = browser.execute_script("return document.getElementById('words').textContent")
    assert "h(t) from c(t), o(t)." in words or "h(t) from o(t), c(t)." in words
    assert "Backward: ∇h(t) from ∇a(t+1) through W" in words or "Backward: ∇h(t) from ∇a(t+1)" in words


def test_the_text_is_coloured_by_the_surprise_of_words(page: Callable[..., Any], measured: LayerValues):
    browser = page()
    browser.execute_script("document.getElementById('colour').value = 'words'; render()")
    titles = browser.execute_script("return [...document.getElementById('text').children].map((s) => s.title)")
    bits = [0.0, *(measured.values["L"][:, 0] / math.log(2)).tolist()]
    text = example.EXAMPLE
    for word in ("went", "Nepal", "2009", ".", " "):
        at = text.index(word)
        assert as_number(titles[at]) == pytest.approx(sum(bits[at : at + len(word)]), rel=6e-3)
        assert len(set(titles[at : at + len(word)])) == 1


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model of recordings, trained briefly, and one recording."""
    soundfile = pytest.importorskip("soundfile", reason="needs soundfile")
    folder = tmp_path_factory.mktemp("heard")
    (folder / "tones").mkdir()
    for k in range(24):
        t = numpy.arange(2400) / 8000
        label, pitch = ("low", 300) if k % 2 else ("high", 1500)
        tone = numpy.sin(2 * numpy.pi * (pitch + 5 * k) * t) * numpy.linspace(0, 1, len(t))
        soundfile.write(folder / "tones" / f"{label}_{k}.wav", 0.5 * tone, 8000)
    small = ("--hidden", "5", "--updates", "4", "--batch", "8", "--out", str(folder / "run"), "--json")
    assert main(["train", str(folder / "tones"), *small]) == 0
    return folder / "run", folder / "tones" / "low_7.wav"


def test_a_recording_is_drawn_as_a_waveform_over_its_colours(
    page: Callable[..., Any], pages: dict[str, Path], heard: tuple[Path, Path]
):
    run, file = heard
    pages["voice"] = run.parent / "voice.html"
    pages["voice"].write_text(explore(run, file).html, encoding="utf-8")
    seen = evaluate_layer(reading.of_run(run, file, 1, 200), 0)
    for width, dark in ((1280, False), (400, True)):
        browser = page("voice", width=width, dark=dark)
        assert browser.execute_script("return document.scrollingElement.scrollWidth") <= width
        assert browser.find_element("id", "reading-name").text == "The recording"
        assert not browser.find_element("id", "text").is_displayed()
        wave = browser.find_element("css selector", "#track path.audio").get_attribute("d")
        spans = [float(part.split("V")[1]) - float(part.split(" ")[1].split("V")[0]) for part in wave.split("M")[1:]]
        assert len(spans) == 120 and abs(spans[-2]) > 4 * abs(spans[10]), "it grows"
        expected = {
            "unit": seen.values["h"][:, 2].tolist(),
            "surprise": (seen.values["L"][:, 0] / math.log(2)).tolist(),
            "saliency": seen.saliency.tolist(),
        }
        for how, values in expected.items():
            browser.execute_script(
                "now.unit = 2; document.getElementById('colour').value = arguments[0]; choose('h', 3)", how
            )
            marks = browser.execute_script("""
                return [...document.querySelectorAll("#track rect.step")].map((r) => [r.textContent, r.style.fill])""")
            assert [as_number(title) for title, _ in marks] == pytest.approx(values, rel=6e-3, abs=1e-4)
            assert len({fill for _, fill in marks}) > 3
        assert "words" not in [
            o.get_attribute("value") for o in browser.find_elements("css selector", "#colour option")
        ]
    from selenium.webdriver import Keys

    browser.execute_script("document.getElementById('track').focus()")
    press(browser, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert browser.execute_script("return now.t") == 5
    assert "At 0.0400 seconds." in browser.find_element("id", "status").get_attribute("textContent")
    assert browser.find_element("id", "track").get_attribute("aria-label").startswith("The waveform over time")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", browser.find_element("id", "track"))
    browser.find_element("id", "track").click()
    settle(browser)
    assert browser.execute_script("return now.t") in (15, 16)
    assert browser.find_element("css selector", "#next-characters h2").text == "Prediction"
    answer = browser.find_element("css selector", "#next-characters p").text
    assert answer.startswith("Correct: low, a surprise of ")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("name", ["lstm", "jordan", "layernorm_lstm", "autonomous"])
def test_it_fits_at_both_widths_in_both_themes(page: Callable[..., Any], name: str, width: int, dark: bool):
    browser = page(name, width=width, dark=dark)
    click(browser, "unfold")
    browser.execute_script("direct(true); go(12)")
    settle(browser)
    assert browser.execute_script("return document.scrollingElement.scrollWidth") <= width
    outside = browser.execute_script("""
        return [...document.querySelectorAll("header, main *:not(svg *)")].filter((e) => {
            const b = e.getBoundingClientRect();
            return b.width && (b.left < -1 || b.right > innerWidth + 1);
        }).map((e) => e.outerHTML.slice(0, 80))""")
    assert outside == []
    boxes = browser.execute_script("""
        return [...document.querySelectorAll("header, main section:not([hidden])")].map((e) => {
            const b = e.getBoundingClientRect();
            return [e.id || e.tagName, b.left, b.top, b.right, b.bottom];
        })""")
    for k, (one, left, top, right, bottom) in enumerate(boxes):
        for other, x0, y0, x1, y1 in boxes[k + 1 :]:
            assert right <= x0 + 1 or x1 <= left + 1 or bottom <= y0 + 1 or y1 <= top + 1, f"{one} lies on {other}"
    paper, ink = browser.execute_script(
        "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
    )
    light = [sum(map(int, c.removeprefix("rgb(").removesuffix(")").split(","))) for c in (paper, ink)]
    assert (light[0] < light[1]) == dark and abs(light[0] - light[1]) > 450
    crossing = browser.execute_script("""
        const nodes = [...document.querySelectorAll("#stage .node[tabindex='0']")];
        const boxes = (n) => [...n.querySelectorAll("text")].map((t) => t.getBoundingClientRect());
        const texts = nodes.map((n) => boxes(n).filter((b) => b.width));
        return texts.filter(([a, b]) => b && a.bottom > b.top + 0.45 * b.height).length""")
    assert crossing == 0, "the number stands below the name"


def test_the_theme_can_be_chosen(page: Callable[..., Any]):
    browser = page()
    papers = []
    for _ in range(3):
        papers.append(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
        click(browser, "theme")
    assert papers[0] == papers[1] != papers[2]


def test_nan_is_shown_as_such_and_located(browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import torch

    from unrolled.look import layer_values

    whole = layer_values._leaves

    def spoiled(part, graph, series):  # type: ignore[no-untyped-def]
        leaves = whole(part, graph, series)
        node = graph.inputs["x", 9]
        leaves[node] = torch.full_like(leaves[node], math.nan).requires_grad_()
        return leaves

    monkeypatch.setattr(layer_values, "_leaves", spoiled)
    path = tmp_path / "nan.html"
    path.write_text(explore(ALL["rnn"]).html, encoding="utf-8")
    show(browser, path)
    assert (
        browser.find_element("id", "problem").text
        == "Not all numbers are finite. The first value: x is NaN at step 9, unit 1."
    )
    browser.execute_script("unfold(true); go(9)")
    settle(browser)
    texts = browser.execute_script("return [...document.querySelectorAll('#stage .nan')].map((e) => e.textContent)")
    assert "NaN" in texts
    assert "not finite" in browser.find_element("id", "map-value-says").text
    pixel = browser.execute_script(
        "return [...document.querySelector('#map-value canvas').getContext('2d').getImageData(8, 0, 1, 1).data]"
    )
    assert pixel == [255, 0, 200, 255]
    assert browser.get_log("browser") == []


def test_a_long_text_is_scrolled_to_the_present(browser: Any, tmp_path: Path):
    (tmp_path / "text.txt").write_text("line after line\n" * 30)
    path = tmp_path / "long.html"
    path.write_text(explore(ALL["rnn"], tmp_path / "text.txt").html, encoding="utf-8")
    show(browser, path)
    for t in (200, 1, 120):
        browser.execute_script("go(arguments[0])", t)
        box, inside = browser.execute_script(
            "const boxes = [text, text.querySelector('.now')].map((e) => e.getBoundingClientRect());"
            "return boxes.map((b) => [b.top, b.bottom])"
        )
        assert box[0] <= inside[0] and inside[1] <= box[1]
    assert browser.execute_script("return scrollY") == 0


def test_nothing_is_fetched(page: Callable[..., Any]):
    assert page().execute_script("return performance.getEntriesByType('resource').length") == 0
