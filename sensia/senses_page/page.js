"use strict";

const data = JSON.parse(document.getElementById("data").textContent);

async function unpackBytes(packed) {
  const bytes = Uint8Array.from(atob(packed), (char) => char.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function unpackIntegers(packed) {
  const bytes = await unpackBytes(packed);
  const count = bytes.length / 3;
  return Uint32Array.from({ length: count }, (_, i) => bytes[i] | (bytes[count + i] << 8) | (bytes[2 * count + i] << 16));
}

async function unpackList(list) {
  const [palette, ranks, differences] = await Promise.all([
    unpackIntegers(list.palette),
    unpackIntegers(list.ranks),
    unpackBytes(list.scores),
  ]);
  const plane = ranks.length / list.top;
  // Scores are differences to the entry before, modulo 256.
  for (let i = plane; i < differences.length; i++) differences[i] += differences[i - plane];
  return { ...list, palette, ranks, steps: differences };
}

async function unpackMixture(mixture) {
  const [weights, contributions] = await Promise.all([
    unpackIntegers(mixture.weights),
    unpackIntegers(mixture.contributions),
  ]);
  return {
    ...mixture,
    weights: Float64Array.from(weights, (value) => value / 65535),
    contributions: Float64Array.from(contributions, (value) => (value - 32768) * mixture.step),
  };
}

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  // Strings become text nodes: nothing that a token holds is read as HTML.
  made.append(...children);
  return made;
}

// The same signs as in the terminal.
function readable(text) {
  if (text.startsWith(" ") && text.trim()) text = text.slice(1);
  else if (/^[\p{L}\p{N}]/u.test(text)) text = "…" + text;
  return text
    .replaceAll(" ", "␣")
    .replace(/[\p{C}\p{Z}]/gu, (char) => "\\u" + char.codePointAt(0).toString(16).padStart(4, "0"));
}

function signed(value, digits) {
  const text = Math.abs(value).toFixed(digits);
  return value < 0 && Number(text) !== 0 ? "−" + text : text;
}

/* Senses of a word */

const idOf = new Map(data.tokens.map((text, id) => [text, id]));
const spellings = new Map(data.words.map(([word, ...ids]) => [word, ids]));
let placeOf;

function findTokens(word) {
  if (idOf.has(" " + word)) return [idOf.get(" " + word)];
  if (spellings.has(word)) return spellings.get(word);
  return idOf.has(word) ? [idOf.get(word)] : null;
}

function entries(list, numSenses, place, sense) {
  const count = placeOf.size;
  return Array.from({ length: list.top }, (_, rank) => {
    const i = (rank * numSenses + sense) * count + place;
    return { id: list.palette[list.ranks[i]], score: list.lowest + list.steps[i] * list.step };
  });
}

function entryCell(list, numSenses, place, sense) {
  const spans = entries(list, numSenses, place, sense).map(({ id, score }) =>
    element("span", { className: "entry" }, readable(data.tokens[id]) + " ", element("small", {}, signed(score, 1))),
  );
  return element("td", {}, ...spans);
}

function senseRows(place, sense) {
  return data.labels.map((label, kind) => {
    const row = element("tr", { className: kind + 1 === data.labels.length ? "sense-end" : "" });
    if (kind === 0) row.append(element("th", { scope: "rowgroup", rowSpan: data.labels.length }, `sense ${sense}`));
    row.append(element("th", { scope: "row", className: "kind" }, label));
    for (const model of data.models) {
      const has = sense < model.num_senses;
      row.append(has ? entryCell(model.lists[kind], model.num_senses, place, sense) : element("td"));
    }
    return row;
  });
}

function senseTable(id) {
  const senses = Math.max(...data.models.map((model) => model.num_senses));
  const names = data.models.map((model) => element("th", { scope: "col" }, model.name));
  const head = element("tr", {}, element("td", { colSpan: 2 }), ...names);
  const body = Array.from({ length: senses }, (_, sense) => senseRows(placeOf.get(id), sense)).flat();
  const table = element(
    "table",
    {},
    element("caption", {}, `Token “${readable(data.tokens[id])}”`),
    element("thead", {}, head),
    element("tbody", {}, ...body),
  );
  return element("div", { className: "scroll", "data-token": id }, table);
}

function showWord(word) {
  const ids = findTokens(word);
  const known = ids !== null && ids.every((id) => placeOf.has(id));
  const found = document.getElementById("found");
  if (!word) found.textContent = "Type a word.";
  else if (!known) found.textContent = `“${word}” is not on this page, which holds ${placeOf.size} tokens and ${spellings.size} words of several.`;
  else found.textContent = `“${word}” is ${ids.length === 1 ? "one token" : ids.length + " tokens"}.`;
  document.getElementById("senses").replaceChildren(...(known ? ids.map(senseTable) : []));
}

function suggest(word) {
  const starting = word ? searchable.filter((other) => other !== word && other.startsWith(word)).slice(0, 20) : [];
  const options = starting.map((other) => element("option", { value: other }));
  document.getElementById("suggestions").replaceChildren(...options);
}

let searchable;

function startWords() {
  const alone = [...placeOf.keys()].map((id) => data.tokens[id]).filter((text) => /^ \p{L}/u.test(text));
  searchable = [...alone.map((text) => text.slice(1)), ...spellings.keys()].sort();
  const input = document.getElementById("word");
  input.addEventListener("input", () => {
    suggest(input.value.trim());
    showWord(input.value.trim());
  });
  document.getElementById("lookup").addEventListener("submit", (event) => event.preventDefault());
  input.value = data.word;
  showWord(data.word);
}

/* Mixtures of sentences */

function quantity() {
  return document.querySelector("input[name=quantity]:checked").value;
}

// Predictions lie one behind the other, the t-th as [K, t + 1].
function mixtureRows(values, numSenses, prediction) {
  const start = (numSenses * prediction * (prediction + 1)) / 2;
  return Array.from({ length: prediction + 1 }, (_, place) =>
    Array.from({ length: numSenses }, (_, sense) => values[start + sense * (prediction + 1) + place]),
  );
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

function numberCell(value, largest, className = "") {
  const cell = element("td", { className }, signed(value, 2));
  const strength = largest ? (0.55 * Math.abs(value)) / largest : 0;
  if (!className) cell.style.background = `rgb(var(--${value < 0 ? "minus" : "plus"}) / ${strength.toFixed(3)})`;
  return cell;
}

function mixtureTable(sentence, prediction, index) {
  const { name, num_senses: numSenses } = data.models[index];
  const mixture = sentence.models[index];
  const rows = mixtureRows(mixture[quantity()], numSenses, prediction);
  const largest = Math.max(...rows.flat().map(Math.abs));
  const senses = Array.from({ length: numSenses }, (_, sense) => element("th", { scope: "col" }, String(sense)));
  const head = element("tr", {}, element("th", { scope: "col" }, "sense"), ...senses, element("th", { scope: "col" }, "all"));
  const body = rows.map((row, place) => {
    const cells = row.map((value) => numberCell(value, largest));
    const token = element("th", { scope: "row" }, readable(sentence.tokens[place]));
    return element("tr", {}, token, ...cells, numberCell(sum(row), largest, "sum"));
  });
  const totals = Array.from({ length: numSenses }, (_, sense) => sum(rows.map((row) => row[sense])));
  const totalCells = [...totals, sum(totals)].map((value) => numberCell(value, largest, "sum"));
  const foot = element("tr", {}, element("th", { scope: "row" }, "all"), ...totalCells);
  const probability = (100 * mixture.probabilities[prediction]).toPrecision(2);
  const caption = `${name}: “${readable(sentence.tokens[prediction + 1])}” has logit ${signed(mixture.logits[prediction], 2)}, probability ${Number(probability)} %`;
  return element(
    "div",
    { className: "scroll" },
    element("table", {}, element("caption", {}, caption), element("thead", {}, head), element("tbody", {}, ...body), element("tfoot", {}, foot)),
  );
}

function sentenceView(sentence, number) {
  const panel = element("div", { className: "mixtures", "aria-live": "polite" });
  const buttons = sentence.tokens.slice(1).map((text, prediction) =>
    element("button", { type: "button", tabIndex: prediction ? -1 : 0, "aria-pressed": "false" }, text),
  );
  let current = null;
  let kept = false;

  function show(prediction) {
    current = prediction;
    buttons.forEach((button, place) => {
      button.setAttribute("aria-current", String(place === prediction));
      button.setAttribute("aria-pressed", String(kept && place === prediction));
    });
    panel.replaceChildren(...data.models.map((_, index) => mixtureTable(sentence, prediction, index)));
  }

  function moveTo(prediction) {
    buttons.forEach((button, place) => (button.tabIndex = place === prediction ? 0 : -1));
    buttons[prediction].focus();
  }

  function onKey(event, prediction) {
    const steps = { ArrowLeft: prediction - 1, ArrowRight: prediction + 1, Home: 0, End: buttons.length - 1 };
    if (event.key in steps && buttons[steps[event.key]]) {
      event.preventDefault();
      moveTo(steps[event.key]);
    } else if (event.key === "Escape" && kept) {
      kept = false;
      show(current);
    }
  }

  buttons.forEach((button, prediction) => {
    button.addEventListener("pointerenter", () => kept || show(prediction));
    button.addEventListener("focus", () => kept || show(prediction));
    button.addEventListener("keydown", (event) => onKey(event, prediction));
    button.addEventListener("click", () => {
      kept = !(kept && current === prediction);
      show(prediction);
    });
  });
  document.querySelectorAll("input[name=quantity]").forEach((radio) =>
    radio.addEventListener("change", () => current === null || show(current)),
  );
  const line = element("div", { className: "sentence", role: "group", "aria-label": `Sentence ${number + 1}` }, ...buttons);
  return element("div", {}, line, panel);
}

async function startMixtures() {
  if (!data.sentences.length) return;
  for (const sentence of data.sentences) sentence.models = await Promise.all(sentence.models.map(unpackMixture));
  document.getElementById("sentences").replaceChildren(...data.sentences.map(sentenceView));
  document.getElementById("mixtures").hidden = false;
}

async function start() {
  if (!("DecompressionStream" in window)) {
    throw new Error("This browser is too old: it cannot unpack the data (DecompressionStream).");
  }
  placeOf = new Map(Array.from(await unpackIntegers(data.shown), (id, place) => [id, place]));
  for (const model of data.models) model.lists = await Promise.all(model.lists.map(unpackList));
  startWords();
  await startMixtures();
  document.body.dataset.ready = "yes";
}

start().catch((error) => {
  document.getElementById("error").textContent = error.message;
});
