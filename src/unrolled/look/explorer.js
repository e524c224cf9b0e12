"use strict";
// The explorer. The library computes every number; this program looks them up, draws them and plays them.

const data = JSON.parse(document.getElementById("data").textContent);
const { first, last, stage, numbers } = data;
const $ = (id) => document.getElementById(id);
const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
const mix = (a, b, part) => a + part * (b - a);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

// The current view. Forward: all values before step t are known, and at t those of the equations up to `line`.
// Backward: all gradients after step t are known, and at t those up to `line`. `unfolded` goes from 0 (circuit) to 1.
const now = {
  t: first, line: data.forward.length - 1, backward: false, playing: false, unfolded: 0, shownTime: first,
  name: (stage.circles.find((c) => c.role === "state" && !numbers[c.name].tokens) ?? stage.circles[0]).name, unit: 0, hover: null,
};

// ---------------------------------------------------------------- numbers

const TOP = 32000, NAN = -32768, ABOVE = 32767, BELOW = -32767;
const special = { NaN: NaN, "∞": Infinity, "-∞": -Infinity };
const plain = (value) => (typeof value === "string" ? special[value] : value);

function codes(packed) {
  packed.codes ??= new Int16Array(Uint8Array.from(atob(packed.data), (c) => c.charCodeAt(0)).buffer);
  return packed.codes;
}

/** One unit of a value or gradient at a step; undefined if the page does not hold it. */
function number(name, kind, t, unit) {
  const packed = numbers[name]?.[kind], row = t - first;
  if (!packed?.data || row < 0 || t > last) return undefined;
  const code = codes(packed)[row * numbers[name].units + unit];
  if (code === NAN) return NaN;
  if (code === ABOVE || code === BELOW) return code > 0 ? Infinity : -Infinity;
  return (code / TOP) * packed.scales[row];
}

/** A unit in words: the entry of a matrix has a row and a column. */
function unitOf(about, unit) {
  if (!about.columns) return `unit ${unit + 1}`;
  return `row ${Math.floor(unit / about.columns) + 1}, column ${(unit % about.columns) + 1}`;
}

/** The value of a scalar, or the root mean square of a vector. */
function size(name, kind, t) {
  if (numbers[name]?.units === 1 && numbers[name][kind]?.data) return number(name, kind, t, 0);
  return plain(numbers[name]?.[kind]?.size[t - first]);
}

function format(value, digits = 3) {
  if (value === undefined) return "";
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  const small = value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e4);
  return (small ? value.toExponential(digits - 2) : value.toPrecision(digits)).replaceAll("-", "−");
}

const visible = (character) => ({ " ": "␣", "\n": "⏎", "\t": "⇥" })[character] ?? character;
const character = (token) => visible(data.vocabulary[token] ?? String(token));

// ---------------------------------------------------------------- the order of computation

const linesAt = (t) => (now.backward
  ? data.backward.map((_, k) => k).filter((k) => ({ last: t === last, before: t < last })[data.backward[k].when] ?? true)
  : data.forward.map((_, k) => k));

const forwardIndex = new Map(data.forward.map((line, k) => [line.name, k]));

function valueKnown(name, t) {
  if (now.backward || t < now.t) return true;
  const computed = forwardIndex.get(name) ?? (["input", "fixed"].includes(numbers[name].role) ? -1 : data.forward.length - 1);
  return t === now.t && computed <= now.line;
}

function gradientKnown(name, t) {
  if (!now.backward || t < now.t || !numbers[name].gradient) return false;
  if (t > now.t || name === data.loss) return true;
  const lines = linesAt(t), own = lines.find((k) => data.backward[k].name === name);
  return (own ?? lines.at(-1)) <= now.line;
}

/** The value or gradient that the active equation computes. */
function activeName() {
  return (now.backward ? data.backward : data.forward)[now.line]?.name ?? "";
}

/** Move by one equation, forth (1) or back (-1) in the direction of playback; false at the end. */
function tick(way) {
  const lines = linesAt(now.t), place = lines.indexOf(now.line) + way;
  const step = now.backward ? -way : way;
  if (place >= 0 && place < lines.length && $("pace").value === "equation") now.line = lines[place];
  else if (now.t + step < first || now.t + step > last) {
    now.line = lines.at(way > 0 ? -1 : 0);
    return false;
  } else {
    now.t += step;
    now.line = linesAt(now.t).at($("pace").value === "step" || way < 0 ? -1 : 0);
  }
  return true;
}

function direct(backward) {
  if (now.backward === backward) return;
  now.backward = backward;
  now.t = backward ? last : first;
  now.line = linesAt(now.t)[0];
}

let timer = 0;
function play(backward) {
  const again = now.playing && now.backward === backward;
  pause();
  if (again) return render();
  if (!turn.open) unfold(true);
  const atEnd = now.t === (backward ? first : last) && now.line === linesAt(now.t).at(-1);
  if (now.backward === backward && atEnd) {
    now.t = backward ? last : first;
    now.line = linesAt(now.t)[0];
  }
  direct(backward);
  now.playing = true;
  const beat = () => {
    if (!tick(1)) pause();
    render();
    if (now.playing) timer = setTimeout(beat, $("pace").value === "step" ? 350 : 700);
  };
  timer = setTimeout(beat, 700);
  render();
}

function pause() {
  clearTimeout(timer);
  now.playing = false;
}

function go(t, say = true) {
  pause();
  now.t = clamp(Math.round(t), first, last);
  now.line = linesAt(now.t).at(-1);
  render();
  if (say) announce();
}

function announce() {
  const name = now.name, kind = now.backward ? "gradient" : "value";
  $("status").textContent =
    `Step ${now.t} of ${last}. ${now.backward ? "∇" : ""}${name}: ${describe(name, kind, now.t)}.` +
    (data.text.length ? ` Reads ${visible(data.text[now.t - first])}.` : "") +
    (data.track?.seconds ? ` At ${format((now.t - first) * data.track.seconds)} seconds.` : "");
}

function describe(name, kind, t, digits = 3) {
  if (numbers[name].tokens) return character(numbers[name].tokens[t - first]);
  return numbers[name][kind] ? format(size(name, kind, t), digits) : "none";
}

/** A description short enough for a circle. */
function brief(name, kind, t) {
  const text = describe(name, kind, t);
  return text.length > 5 ? describe(name, kind, t, 2) : text;
}

// ---------------------------------------------------------------- the picture

const svg = $("stage"), NS = "http://www.w3.org/2000/svg";
const columns = new Map(); // step → its elements
const delays = [];
const layers = {};

function element(tag, attributes = {}, parent = null) {
  const made = document.createElementNS(NS, tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent?.append(made);
  return made;
}

/** Runs of type as tspans, with raised superscripts; `time` becomes a superscript in parentheses. */
function label(parent, runs, fontSize, time) {
  const all = time === undefined ? runs : [...runs, ["(", "", "sup"], [String(time), "", "sup"], [")", "", "sup"]];
  let level = 0;
  for (const [text, style, shift] of all) {
    const here = { base: 0, sup: -0.42, sub: 0.22 }[shift] * fontSize;
    const span = element("tspan", { class: [...style].join(" ") }, parent);
    if (here !== level) span.setAttribute("dy", here - level);
    if (shift !== "base") span.setAttribute("font-size", 0.66 * fontSize);
    if (shift === "sup") span.classList.add("sup");
    span.textContent = text;
    level = here;
  }
}

function shape(parent, [x, y, w, h]) {
  return element("rect", { class: "shape", x: x - w / 2, y: y - h / 2, width: w, height: h, rx: h / 2 }, parent);
}

function makeColumn(t) {
  const start = t < first, column = { nodes: new Map(), arrows: [], letters: [] };
  const wires = (column.wires = element("g", {}, layers.wires));
  const group = (column.group = element("g", {}, layers.nodes));
  column.arrows = stage.inner.filter(() => !start).map((arrow) => {
    element("path", { class: "wire", d: arrow.line }, wires);
    element("path", { class: "head", d: arrow.head }, wires);
    return { arrow, back: back(arrow, wires), letters: letters(arrow, wires) };
  });
  column.delayed = stage.delayed.filter(() => !start).map((arrow) => ({
    arrow, line: element("path", { class: "wire" }, wires), head: element("path", { class: "head" }, wires),
    square: element("rect", { class: "delay", width: 11, height: 11 }, wires),
    back: back(arrow, wires), letters: letters(arrow, wires),
  }));
  const sources = new Set(stage.delayed.map((arrow) => arrow.source));
  for (const circle of stage.circles) {
    if (start && !sources.has(circle.name)) continue;
    column.nodes.set(circle.name, makeNode(circle, t, start, group));
  }
  columns.set(t, column);
  return column;
}

function back(arrow, parent) {
  if (!arrow.back) return null;
  const group = element("g", { class: "hide" }, parent);
  element("path", { class: "back", d: arrow.back.line }, group);
  element("path", { class: "backhead", d: arrow.back.head }, group);
  return group;
}

function letters(arrow, parent) {
  if (!arrow.letters) return null;
  const text = element("text", { class: "letters", "font-size": stage.size }, parent);
  label(text, arrow.letters, stage.size);
  return text;
}

function makeNode(circle, t, start, parent) {
  const [x, y] = circle.place, { name, size: type } = circle;
  const node = element("g", { class: `node ${circle.role}${start ? " start" : ""}` }, parent);
  shape(node, circle.place);
  const title = element("text", { x, y: y - (start ? -0.33 : 0.08) * type, "font-size": type }, node);
  label(title, circle.label, type, circle.role === "fixed" ? undefined : t);
  if (start) return { node };
  node.setAttribute("role", "button");
  node.addEventListener("click", () => choose(name, t));
  node.addEventListener("pointerenter", () => look(name, t));
  node.addEventListener("pointerleave", () => look(null));
  node.addEventListener("focus", () => look(name, t));
  node.addEventListener("blur", () => look(null));
  node.addEventListener("keydown", (event) => {
    if (event.key === "Enter") choose(name, t);
    else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      go(t + (event.key === "ArrowLeft" ? -1 : 1));
      columns.get(now.t)?.nodes.get(name).node.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const text = element("text", { class: "number", x, y: y + 0.92 * type, "font-size": 0.7 * type }, node);
  return { node, title, text };
}

function choose(name, t) {
  now.name = name;
  now.unit = clamp(now.unit, 0, numbers[name].units - 1);
  go(t);
}

function look(name, t) {
  now.hover = name === null ? null : { name, t };
  renderValue();
}

function points(list, u, arrow) {
  return arrow.loop.map(([x, y], k) => [mix(x, list[k][0], u), mix(y, list[k][1], u)]);
}

function drawArrow(drawn, u) {
  const { arrow, line, head, square } = drawn, path = points(arrow.across, u, arrow);
  line.setAttribute("d", "M" + path.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L"));
  const [ax, ay] = path.at(-2), [x, y] = path.at(-1), far = Math.hypot(x - ax, y - ay) || 1;
  const dx = (9 * (x - ax)) / far, dy = (9 * (y - ay)) / far;
  head.setAttribute("d", `M${x} ${y}L${x - dx - 0.42 * dy} ${y - dy + 0.42 * dx}L${x - dx + 0.42 * dy} ${y - dy - 0.42 * dx}Z`);
  const [mx, my] = path[(path.length - 1) >> 1], scale = 1 - u;
  const sx = mix(arrow.square[0], mx, u), sy = mix(arrow.square[1], my, u);
  square.setAttribute("transform", `translate(${sx} ${sy}) scale(${scale}) translate(-5.5 -5.5)`);
}

function placeLetters(text, arrow, u) {
  if (!text) return;
  text.setAttribute("x", mix(arrow.folded[0], arrow.flat[0], u));
  text.setAttribute("y", mix(arrow.folded[1], arrow.flat[1], u) + 0.33 * stage.size);
}

function renderStage() {
  const u = now.unfolded, [left, top, right, bottom] = stage.box, wide = svg.clientWidth || 800;
  const scale = Math.min(1.15, (wide < 600 ? 400 : 560) / (bottom - top + 24), wide / (right - left + 90));
  const view = wide / scale, centre = (left + right) / 2 - u * 0.18 * Math.min(stage.period, view / 3);
  svg.setAttribute("viewBox", `${centre - view / 2} ${top - 12} ${view} ${bottom - top + 24}`);
  svg.style.height = `${(bottom - top + 24) * scale}px`;
  const reach = Math.ceil(view / stage.period / 2) + 1, middle = Math.round(now.shownTime);
  const low = Math.max(first - 1, middle - reach), high = Math.min(last, middle + reach);
  for (const [t, column] of columns) {
    if (t < low || t > high) {
      column.wires.remove();
      column.group.remove();
      columns.delete(t);
    }
  }
  const order = [];
  for (let t = low; t <= high; t++) order.push(columns.get(t) ?? makeColumn(t));
  order.forEach((column, k) => drawColumn(column, low + k, u, middle));
}

function drawColumn(column, t, u, middle) {
  const shift = `translate(${u * (t - now.shownTime) * stage.period})`, here = t === middle;
  for (const group of [column.wires, column.group]) {
    group.setAttribute("transform", shift);
    group.style.display = !here && u < 0.01 ? "none" : "";
    group.style.opacity = here ? 1 : u;
  }
  for (const drawn of column.delayed) {
    drawArrow(drawn, u);
    placeLetters(drawn.letters, drawn.arrow, u);
    showBack(drawn, t - 1, t, u);
  }
  for (const drawn of column.arrows) {
    placeLetters(drawn.letters, drawn.arrow, u);
    showBack(drawn, t, t, u);
  }
  for (const [name, { node, title, text }] of column.nodes) {
    if (!text) continue;
    for (const span of title.querySelectorAll(".sup")) {
      span.style.display = u < 0.5 ? "none" : "";
      span.setAttribute("fill-opacity", 2 * u - 1);
    }
    const known = valueKnown(name, t), gradient = gradientKnown(name, t), kind = gradient ? "gradient" : "value";
    text.textContent = known ? (gradient ? "∇ " : "") + brief(name, kind, t) : "";
    text.classList.toggle("nan", !numbers[name].tokens && known && !Number.isFinite(size(name, kind, t)));
    node.classList.toggle("dim", !known);
    node.classList.toggle("chosen", t === now.t && name === now.name);
    node.classList.toggle("active", t === now.t && name === activeName());
    node.setAttribute("tabindex", t === now.t ? 0 : -1);
    node.setAttribute("aria-label", `${name} at step ${t}: ${known ? describe(name, "value", t) : "not yet computed"}` +
      (gradient ? `, gradient ${describe(name, "gradient", t)}` : ""));
  }
}

/** Show the gradient's arrow once the gradient at its end is known; never in the folded circuit. */
function showBack({ arrow, back }, source, target, u) {
  if (!back) return;
  const seen = source < first ? gradientKnown(arrow.target, target) : gradientKnown(arrow.source, source);
  back.classList.toggle("hide", u < 1 || !seen || !gradientKnown(arrow.target, target));
}

let moving = 0;
const turn = { open: false, from: 0, began: 0 }; // the animation between circuit and graph
function unfold(open = !turn.open) {
  $("unfold").textContent = open ? "Fold" : "Unfold";
  $("unfold").setAttribute("aria-pressed", open);
  Object.assign(turn, { open, from: now.unfolded, began: performance.now() });
  animate();
}

/** Animate the picture until it matches the current view. */
function animate() {
  cancelAnimationFrame(moving);
  let before = performance.now();
  const frame = (at) => {
    const want = turn.open ? 1 : 0, part = clamp((at - turn.began) / 900, 0, 1), eased = part * part * (3 - 2 * part);
    now.unfolded = calm.matches || part === 1 ? want : mix(turn.from, want, eased);
    const lag = now.t - now.shownTime, pull = calm.matches ? 1 : 1 - Math.exp(-(at - before) / 90);
    now.shownTime = Math.abs(lag) < 0.01 || Math.abs(lag) > 40 ? now.t : now.shownTime + lag * pull;
    before = at;
    renderStage();
    if (now.unfolded !== want || now.shownTime !== now.t) moving = requestAnimationFrame(frame);
  };
  moving = requestAnimationFrame(frame);
}

// ---------------------------------------------------------------- equations and the chosen value

/** An equation as HTML, with superscript times and subscripts; given a step, the times are numbers. */
function mathematics(text, t) {
  const escaped = text.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]);
  const at = (time) => {
    if (t === undefined) return time.replace("-", "−");
    return time === "τ" ? last : time === "t" ? t : time === "t-1" ? t - 1 : t + 1;
  };
  return escaped
    .replace(/([^\s(]+\((?:t|τ|t-1|t\+1)\))²/g, "($1)²")
    .replace(/\((t|τ|t-1|t\+1)\)/g, (_, time) => `<sup>(${at(time)})</sup>`)
    .replace(/_([A-Za-z]+)/g, "<sub>$1</sub>")
    .replace(/[₀-₉]+/g, (digits) => `<sub>${[...digits].map((d) => d.charCodeAt(0) - 0x2080).join("")}</sub>`)
    .replace(/ᵀ/g, "<sup>⊤</sup>").replace(/²/g, "<sup>2</sup>").replace(/ - |^-|(?<== )-/g, (minus) => minus.replace("-", "−"));
}

function listEquations(list, lines, backward) {
  for (const [k, line] of lines.entries()) {
    const button = document.createElement("button");
    button.type = "button";
    button.innerHTML = mathematics(line.text) + (line.when === "before" ? " <small>for t &lt; τ</small>" : "");
    button.addEventListener("click", () => {
      pause();
      if (now.backward !== backward) direct(backward);
      if (line.when === "last") now.t = last;
      if (line.when === "before" && now.t === last && last > first) now.t = last - 1;
      now.line = k;
      if (numbers[line.name]) now.name = line.name;
      render();
      announce();
    });
    list.append(Object.assign(document.createElement("li"), {}));
    list.lastChild.append(button);
  }
}

function renderEquations() {
  const possible = new Set(linesAt(now.t));
  for (const [id, backward] of [["forward-lines", false], ["backward-lines", true]]) {
    [...$(id).querySelectorAll("button")].forEach((button, k) => {
      const active = now.backward === backward && k === now.line;
      button.toggleAttribute("aria-current", active);
      if (active) button.setAttribute("aria-current", "step");
      button.classList.toggle("off", backward && now.backward && !possible.has(k));
    });
  }
}

function renderValue() {
  const { name, t } = now.hover ?? { name: now.name, t: now.t }, about = numbers[name];
  const circle = stage.circles.find((c) => c.name === name), spelled = circle.label.map((run) => run[0]).join("");
  const time = about.role === "fixed" ? "" : `<sup>(${t})</sup>`;
  $("value-name").innerHTML = `${mathematics(spelled)}${time} <small>${ROLES[about.role] ?? about.role}</small>`;
  const equation = data.forward[forwardIndex.get(name)]?.text;
  $("value-equation").innerHTML = equation ? mathematics(equation, t) : "";
  const own = data.backward.find((l) => l.name === name && ({ last: t === last, before: t < last })[l.when] !== false);
  $("value-gradient-equation").innerHTML = own ? mathematics(own.text, t) : "";
  $("value-source").textContent = about.line ? `${about.source}  ${about.line}` : "";
  const rows = [];
  const unit = clamp(now.unit, 0, about.units - 1);
  if (about.tokens) rows.push(["token", `${character(about.tokens[t - first])} (number ${about.tokens[t - first]})`]);
  for (const [kind, word] of [["value", "value"], ["gradient", "gradient ∇"]]) {
    if (!about[kind] || about.tokens) continue;
    if (about.units > 1) rows.push([`${word}, root mean square`, format(size(name, kind, t), 5)]);
    const exact = number(name, kind, t, unit);
    if (exact !== undefined) rows.push([about.units > 1 ? about.columns ? `${word}, ${unitOf(about, unit)}` : `${word}, ${unitOf(about, unit)} of ${about.units}` : word, format(exact, 5)]);
  }
  $("value-numbers").replaceChildren(...rows.flatMap(([term, text]) => [
    Object.assign(document.createElement("dt"), { textContent: term }),
    Object.assign(document.createElement("dd"), { textContent: text }),
  ]));
  renderNext();
}

/** The network's prediction. */
function renderNext() {
  const box = $("next-characters"), name = data.probabilities;
  if (!name || !numbers[name].value.data) return;
  const all = data.vocabulary.map((_, k) => [number(name, "value", now.t, k), k]).sort((a, b) => b[0] - a[0]);
  const came = numbers[data.target].tokens[now.t - first];
  const bits = size(data.loss, "value", now.t) / Math.LN2;
  const bars = all.slice(0, 5).map(([p, k]) =>
    `<div class="bar${k === came ? " right" : ""}"><code></code><i style="width:${(100 * p).toFixed(1)}%"></i>${format(p)}</div>`);
  box.innerHTML = `<h2>${data.text.length ? "Predicted next" : "Prediction"}</h2>${bars.join("")}<p></p>`;
  box.querySelectorAll("code").forEach((code, k) => (code.textContent = character(all[k][1])));
  box.querySelector("p").textContent = `Correct: ${character(came)}, a surprise of ${format(bits)} bits.`;
}

// ---------------------------------------------------------------- colours, text, heat maps

let cold, warm, strange;
function readColours() {
  const style = getComputedStyle(document.documentElement);
  [cold, warm] = ["--cold", "--warm"].map((name) => style.getPropertyValue(name).split(",").map(Number));
  strange = [255, 0, 200];
}

/** The colour of a number from -1 to 1: red, green, blue and opacity (0 to 1). */
function shade(x) {
  if (!Number.isFinite(x)) return [...strange, 1];
  return [...(x < 0 ? cold : warm), Math.min(1, Math.abs(x))];
}

function scaled(value, top) {
  if (!Number.isFinite(value) || !top) return Number.isFinite(value) ? 0 : value;
  if ($("shades").value === "linear") return value / top;
  return value === 0 ? 0 : Math.sign(value) * clamp(1 + Math.log10(Math.abs(value) / top) / 8, 0, 1);
}

const largest = (list) => list.reduce((top, v) => (Number.isFinite(v) ? Math.max(top, Math.abs(v)) : top), 0);

/** The number that colours each step; undefined if there is none. */
function colours(how) {
  const steps = last - first + 1, { name, unit } = now, text = data.text.length > 0;
  const cost = (k) => size(data.loss, "value", first + k) / (data.bits ? Math.LN2 : 1);
  if (how === "words") return wordSurprise(cost);
  return Array.from({ length: steps + text }, (_, k) => {
    if (how === "unit") return number(name, "value", first + k, unit);
    if (how === "surprise" && data.loss) return text ? (k ? cost(k - 1) : undefined) : cost(k);
    return how === "saliency" ? plain(data.saliency[k]) : undefined;
  });
}

/** The bits of a word are the sum over its characters. Other characters than letters and digits get none. */
function wordSurprise(bits) {
  const found = [], inWord = /[\p{L}\p{N}\p{M}_'’]/u;
  for (let begin = 0; begin < data.text.length; ) {
    let end = begin + 1;
    while (end < data.text.length && inWord.test(data.text[begin]) && inWord.test(data.text[end])) end++;
    let sum = 0;
    for (let k = Math.max(begin, 1); k < end; k++) sum += bits(k - 1);
    for (let k = begin; k < end; k++) found.push(end === 1 ? undefined : sum);
    begin = end;
  }
  return found;
}

function colourReading() {
  const how = $("colour").value, values = colours(how), { name, unit } = now, text = data.text.length > 0;
  const top = largest(values.filter((v) => v !== undefined)), upTo = `up to ${format(top)} (orange)`;
  const says = {
    unit: numbers[name].value?.data ? `${unitOf(numbers[name], unit)} of ${name}, from ${format(-top)} (blue) to ${format(top)} (orange)`
      : `the units of ${name} are not in this page; choose another value below`,
    surprise: text ? `bits of each character, given the characters before it, ${upTo}`
      : `${data.bits ? "bits of the correct class" : "loss"} at each step, ${upTo}`,
    words: `bits of each word, summed over its characters, ${upTo}`,
    saliency: `norm of the gradient of the total loss with respect to each input, ${upTo}`, none: "",
  };
  $("colour-says").textContent = says[how];
  [...(text ? $("text").children : $("track").querySelectorAll("rect.step"))].forEach((mark, k) => {
    const v = values[k], [r, g, b, a] = v === undefined ? [0, 0, 0, 0] : shade(top ? v / top : v);
    mark.style[text ? "background" : "fill"] = `rgba(${r},${g},${b},${(0.62 * a).toFixed(3)})`;
    if (text) mark.title = v === undefined ? "" : format(v);
    else mark.firstChild.textContent = v === undefined ? "" : format(v);
  });
}

// ---------------------------------------------------------------- inputs other than text

const WIDE = 8; // more columns than this are drawn as a roll instead of lines

/** Draw the input over the colours of its steps: a waveform, lines of numbers, or a roll of many columns. */
function makeTrack() {
  const { track } = data, steps = last - first + 1, columns = track.names.length, box = $("track");
  const kind = track.kind === "audio" ? "audio" : columns > WIDE ? "roll" : "lines";
  const codes = Uint8Array.from(atob(track.data), (c) => c.charCodeAt(0));
  const shape = { columns, points: codes.length / columns, at: (k, c) => codes[k * columns + c], x: (k) => (k + 0.5) / track.per };
  const high = { audio: 254, roll: columns, lines: 300 * columns }[kind], picture = box.querySelector("svg");
  picture.setAttribute("viewBox", `0 0 ${steps} ${high}`);
  picture.style.height = `${clamp({ audio: 150, roll: 2.5 * columns, lines: 56 * columns }[kind], 90, 300)}px`;
  for (let k = 0; k < steps; k++) {
    element("title", {}, element("rect", { class: "step", x: k, y: 0, width: 1, height: high }, picture));
  }
  const line = { audio: waveform, roll, lines }[kind](shape);
  element("path", { class: kind, d: line }, picture);
  element("rect", { class: "now", y: 0, width: 1, height: high }, picture);
  if (kind === "lines") nameLines(track);
  $("reading-name").textContent = { audio: "The recording", roll: "The frames", lines: "The rows" }[kind];
  const what = { audio: "waveform", roll: `${columns} columns`, lines: `columns ${track.names.join(", ")}` }[kind];
  box.setAttribute("aria-label", `The ${what} over time; arrow keys move in time`);
  const middle = kind === "roll" ? `${track.names.at(-1)} above, ${track.names[0]} below` : "";
  const ends = track.seconds ? ["0 s", middle, `${format(steps * track.seconds)} s`] : [`step ${first}`, middle, `step ${last}`];
  for (const text of ends) $("track-ends").append(Object.assign(document.createElement("span"), { textContent: text }));
  box.addEventListener("click", (event) => {
    const area = box.getBoundingClientRect();
    go(first + Math.floor((steps * (event.clientX - area.left)) / area.width));
  });
}

function waveform({ points, at, x }) {
  return Array.from({ length: points }, (_, k) => `M${x(k)} ${254 - at(k, 0)}V${253 - at(k, 1)}`).join("");
}

function roll({ points, columns, at }) {
  const cells = [];
  for (let k = 0; k < points; k++) {
    for (let c = 0; c < columns; c++) if (at(k, c) > 127 && at(k, c) < 255) cells.push(`M${k} ${columns - c - 1}h1v1h-1z`);
  }
  return cells.join("");
}

/** Each column scaled between its minimum and maximum; a gap where a number is missing (255). */
function lines({ points, columns, at, x }) {
  const parts = [];
  for (let c = 0; c < columns; c++) {
    for (let k = 0; k < points; k++) {
      if (at(k, c) === 255) continue;
      parts.push(`${k && at(k - 1, c) !== 255 ? "L" : "M"}${x(k)} ${300 * c + 290 - (200 * at(k, c)) / 254}`);
    }
  }
  return parts.join("");
}

function nameLines(track) {
  track.names.forEach((name, c) => {
    const text = `${name}: ${format(track.low[c])} to ${format(track.high[c])}`;
    const span = Object.assign(document.createElement("span"), { textContent: text });
    span.style.top = `${(100 * c) / track.names.length}%`;
    $("track-names").append(span);
  });
}

/** The units of a value in words. */
function entries({ units, columns }) {
  return columns ? `${units / columns} × ${columns} entries, row by row,` : `${units} unit${units > 1 ? "s" : ""}`;
}

function drawMap(kind) {
  const box = $(`map-${kind}`), canvas = box.querySelector("canvas"), about = numbers[now.name], packed = about[kind];
  const whole = Boolean(packed?.data), units = whole ? about.units : 1, steps = last - first + 1;
  box.parentElement.style.display = packed ? "" : "none";
  if (!packed) return;
  canvas.width = steps;
  canvas.height = units;
  canvas.style.height = `${clamp(units * 9, 26, 230)}px`;
  const values = [];
  for (let t = first; t <= last; t++) {
    for (let k = 0; k < units; k++) values.push(whole ? number(now.name, kind, t, k) : size(now.name, kind, t));
  }
  const top = largest(values), context = canvas.getContext("2d"), image = context.createImageData(steps, units);
  values.forEach((v, k) => {
    const [r, g, b, a] = shade(scaled(v, top)), at = 4 * ((k % units) * steps + Math.floor(k / units));
    image.data.set([r, g, b, 255 * a], at);
  });
  context.putImageData(image, 0, 0);
  const bad = values.filter((v) => !Number.isFinite(v)).length, written = (kind === "gradient" ? "∇" : "") + now.name;
  const what = `${written}: ${whole ? entries(about) : "size"} × ${steps} steps, maximum ${format(top)}`;
  $(`map-${kind}-says`).textContent = what + (bad ? `; ${bad} not finite, in magenta` : "");
  box.setAttribute("aria-label", `Heat map of ${what}. Arrow keys move in time and among units`);
}

function renderMaps() {
  const steps = last - first + 1, about = numbers[now.name];
  for (const kind of ["value", "gradient"]) {
    const box = $(`map-${kind}`), units = about[kind]?.data ? about.units : 1;
    Object.assign(box.querySelector("i").style, { left: `${(100 * (now.t - first)) / steps}%`, width: `${100 / steps}%` });
    Object.assign(box.querySelector("b").style, { top: `${(100 * Math.min(now.unit, units - 1)) / units}%`, height: `${100 / units}%` });
  }
}

/** Scroll a box, and nothing else, until an element inside is visible. */
function keepInSight(box, inside) {
  const outer = box.getBoundingClientRect(), inner = inside.getBoundingClientRect();
  if (inner.top < outer.top) box.scrollTop -= outer.top - inner.top + 30;
  if (inner.bottom > outer.bottom) box.scrollTop += inner.bottom - outer.bottom + 30;
}

let drawn = "";
function render() {
  const key = [now.name, now.unit, $("colour").value, $("shades").value, document.documentElement.dataset.theme].join();
  if (key !== drawn) {
    readColours();
    if (data.text.length || data.track) colourReading();
    drawMap("value");
    drawMap("gradient");
    $("name").value = now.name;
    $("unit").value = now.unit + 1;
    $("unit").max = numbers[now.name].units;
    drawn = key;
  }
  $("time").value = now.t;
  $("step").textContent = `${now.t} of ${last}`;
  $("forward").setAttribute("aria-pressed", now.playing && !now.backward);
  $("backward").setAttribute("aria-pressed", now.playing && now.backward);
  const cursor = $("text").children[now.t - first];
  $("text").querySelector(".now")?.classList.remove("now");
  cursor?.classList.add("now");
  if (cursor) keepInSight($("text"), cursor);
  if (data.track) $("track").querySelector(".now").setAttribute("x", now.t - first);
  renderEquations();
  renderValue();
  renderMaps();
  animate();
}

// ---------------------------------------------------------------- the page

function changeUnit(by) {
  now.unit = clamp(now.unit + by, 0, numbers[now.name].units - 1);
  render();
  announce();
}

function keys(event) {
  const inField = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName), inButton = event.target.tagName === "BUTTON";
  if (inField || event.ctrlKey || event.metaKey || event.altKey || (inButton && event.key === " ")) return;
  const inMap = event.target.classList?.contains("map");
  const actions = {
    ArrowLeft: () => go(now.t - 1), ArrowRight: () => go(now.t + 1), Home: () => go(first), End: () => go(last),
    ",": () => { pause(); tick(-1); render(); }, ".": () => { pause(); tick(1); render(); },
    f: () => play(false), b: () => play(true), u: () => unfold(), " ": () => { pause(); render(); },
    ...(inMap ? { ArrowUp: () => changeUnit(-1), ArrowDown: () => changeUnit(1) } : {}),
  };
  if (!actions[event.key]) return;
  actions[event.key]();
  event.preventDefault();
}

const ROLES = { input: "input", fixed: "input fixed in time", state: "state", output: "output", loss: "loss", named: "" };

function legend() {
  const roles = Object.keys(ROLES).filter((role) => ROLES[role] && stage.circles.some((c) => c.role === role));
  $("legend").innerHTML = '<i class="delay"></i>delay of one step' +
    roles.map((role) => `<i style="background:var(--${role})"></i>${ROLES[role]}`).join("");
}

function begin() {
  $("notes").textContent = data.notes.join(" ");
  const which = data.once ? "Loss at the last step" : "Total loss";
  if (data.loss) $("notes").textContent += ` ${which}: ${format(plain(data.total), 5)}.`;
  $("problem").hidden = !data.problem;
  $("problem").textContent = data.problem;
  layers.wires = element("g", {}, svg);
  layers.nodes = element("g", {}, svg);
  $("words").textContent = stage.words.join("\n");
  legend();
  listEquations($("forward-lines"), data.forward, false);
  listEquations($("backward-lines"), data.backward, true);
  for (const { name } of stage.circles) {
    if (!numbers[name].tokens) $("name").append(new Option(name, name));
  }
  Object.assign($("time"), { min: first, max: last, value: now.t });
  $("reading").hidden = !data.text.length && !data.track;
  $("text").hidden = !data.text.length;
  $("track").hidden = $("track-ends").hidden = !data.track;
  if (data.track) makeTrack();
  for (const [k, c] of data.text.slice(0, last - first + 1).entries()) {
    const span = document.createElement("span");
    span.textContent = c === "\n" ? "⏎\n" : c;
    span.addEventListener("click", () => go(first + k));
    $("text").append(span);
  }
  if (!data.saliency.length) $("colour").querySelector("[value=saliency]").remove();
  if (!data.loss) $("colour").querySelector("[value=surprise]").remove();
  else if (!data.bits) $("colour").querySelector("[value=surprise]").textContent = "loss";
  if (!data.loss || !data.text.length) $("colour").querySelector("[value=words]").remove();

  $("unfold").addEventListener("click", () => unfold());
  $("forward").addEventListener("click", () => play(false));
  $("backward").addEventListener("click", () => play(true));
  $("next").addEventListener("click", () => { pause(); tick(1); render(); });
  $("previous").addEventListener("click", () => { pause(); tick(-1); render(); });
  $("time").addEventListener("input", () => go(Number($("time").value), false));
  $("name").addEventListener("change", () => choose($("name").value, now.t));
  $("unit").addEventListener("change", () => changeUnit(Math.round(Number($("unit").value) || 1) - 1 - now.unit));
  for (const id of ["colour", "shades"]) $(id).addEventListener("change", render);
  for (const kind of ["value", "gradient"]) {
    const box = $(`map-${kind}`);
    box.addEventListener("click", (event) => {
      const area = box.getBoundingClientRect(), units = numbers[now.name][kind].data ? numbers[now.name].units : 1;
      now.unit = clamp(Math.floor((units * (event.clientY - area.top)) / area.height), 0, units - 1);
      go(first + Math.floor(((last - first + 1) * (event.clientX - area.left)) / area.width));
    });
  }
  $("theme").addEventListener("click", () => {
    const next = { "": "light", light: "dark", dark: "" }[document.documentElement.dataset.theme ?? ""];
    document.documentElement.dataset.theme = next;
    $("theme").textContent = `Theme: ${next || "system"}`;
    render();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { drawn = ""; render(); });
  addEventListener("resize", renderStage);
  addEventListener("keydown", keys);
  render();
}

begin();
