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

// Models that cut a text into the same tokens share tables. `cuts` has the texts of the tokens by model, or null.
function groupModels(cuts) {
  const groups = new Map();
  cuts.forEach((texts, index) => {
    const key = JSON.stringify(texts);
    if (texts) groups.set(key, [...(groups.get(key) ?? []), index]);
  });
  return [...groups.values()];
}

/* Senses of a word */

async function unpackVocabulary({ tokens, shown, words }) {
  return {
    tokens,
    idOf: new Map(tokens.map((text, id) => [text, id])),
    placeOf: new Map(Array.from(await unpackIntegers(shown), (id, place) => [id, place])),
    spellings: new Map(words.map(([word, ...ids]) => [word, ids])),
  };
}

// The tokens of a word in one vocabulary, or null if one of them is not on the page.
function findTokens({ idOf, placeOf, spellings }, word) {
  const ids = spellings.get(word) ?? [idOf.get(" " + word) ?? idOf.get(word)];
  return ids.every((id) => placeOf.has(id)) ? ids : null;
}

function entryCell(model, kind, id, sense) {
  const list = model.lists[kind];
  const { tokens, placeOf } = model.vocabulary;
  const spans = Array.from({ length: list.top }, (_, rank) => {
    const i = (rank * model.num_senses + sense) * placeOf.size + placeOf.get(id);
    const score = signed(list.lowest + list.steps[i] * list.step, 1);
    return element("span", { className: "entry" }, readable(tokens[list.palette[list.ranks[i]]]) + " ", element("small", {}, score));
  });
  return element("td", {}, ...spans);
}

function senseRows(columns, sense) {
  return data.labels.map((label, kind) => {
    const row = element("tr", { className: kind + 1 === data.labels.length ? "sense-end" : "" });
    if (kind === 0) row.append(element("th", { scope: "rowgroup", rowSpan: data.labels.length }, `sense ${sense}`));
    row.append(element("th", { scope: "row", className: "kind" }, label));
    for (const { model, id } of columns) {
      row.append(sense < model.num_senses ? entryCell(model, kind, id, sense) : element("td"));
    }
    return row;
  });
}

// One token; each column is a model and the id that the token has there.
function senseTable(columns) {
  const senses = Math.max(...columns.map(({ model }) => model.num_senses));
  const names = columns.map(({ model }) => element("th", { scope: "col" }, model.name));
  const [{ model, id }] = columns;
  const table = element(
    "table",
    {},
    element("caption", {}, `Token “${readable(model.vocabulary.tokens[id])}”`),
    element("thead", {}, element("tr", {}, element("td", { colSpan: 2 }), ...names)),
    element("tbody", {}, ...Array.from({ length: senses }, (_, sense) => senseRows(columns, sense)).flat()),
  );
  return element("div", { className: "scroll" }, table);
}

function foundText(word, ids) {
  if (!word) return "Type a word.";
  if (ids.every((one) => one === null)) return `“${word}” is not on this page, which holds ${searchable.length} words.`;
  const counts = ids.map((one) => (one === null ? "not shown" : one.length === 1 ? "one token" : `${one.length} tokens`));
  if (new Set(counts).size === 1) return `“${word}” is ${counts[0]}.`;
  return `“${word}” is ${data.models.map(({ name }, index) => `${counts[index]} in ${name}`).join(" and ")}.`;
}

function showWord(word) {
  const ids = data.models.map(({ vocabulary }) => (word ? findTokens(vocabulary, word) : null));
  const cuts = ids.map((one, index) => one && one.map((id) => data.models[index].vocabulary.tokens[id]));
  document.getElementById("found").textContent = foundText(word, ids);
  const views = groupModels(cuts).map((group) => {
    const columns = (place) => group.map((index) => ({ model: data.models[index], id: ids[index][place] }));
    return element("div", {}, ...cuts[group[0]].map((_, place) => senseTable(columns(place))));
  });
  document.getElementById("senses").replaceChildren(...views);
}

function suggest(word) {
  const starting = word ? searchable.filter((other) => other !== word && other.startsWith(word)).slice(0, 20) : [];
  const options = starting.map((other) => element("option", { value: other }));
  document.getElementById("suggestions").replaceChildren(...options);
}

let searchable;

function startWords() {
  const words = data.models.flatMap(({ vocabulary: { tokens, placeOf, spellings } }) => {
    const alone = [...placeOf.keys()].map((id) => tokens[id]).filter((text) => /^ \p{L}/u.test(text));
    return [...alone.map((text) => text.slice(1)), ...spellings.keys()];
  });
  searchable = [...new Set(words)].sort();
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

function mixtureTable({ name, num_senses: numSenses }, mixture, prediction) {
  const rows = mixtureRows(mixture[quantity()], numSenses, prediction);
  const largest = Math.max(...rows.flat().map(Math.abs));
  const senses = Array.from({ length: numSenses }, (_, sense) => element("th", { scope: "col" }, String(sense)));
  const head = element("tr", {}, element("th", { scope: "col" }, "sense"), ...senses, element("th", { scope: "col" }, "all"));
  const body = rows.map((row, place) => {
    const cells = row.map((value) => numberCell(value, largest));
    const token = element("th", { scope: "row" }, readable(mixture.tokens[place]));
    return element("tr", {}, token, ...cells, numberCell(sum(row), largest, "sum"));
  });
  const totals = Array.from({ length: numSenses }, (_, sense) => sum(rows.map((row) => row[sense])));
  const totalCells = [...totals, sum(totals)].map((value) => numberCell(value, largest, "sum"));
  const foot = element("tr", {}, element("th", { scope: "row" }, "all"), ...totalCells);
  const probability = (100 * mixture.probabilities[prediction]).toPrecision(2);
  const caption = `${name}: “${readable(mixture.tokens[prediction + 1])}” has logit ${signed(mixture.logits[prediction], 2)}, probability ${Number(probability)} %`;
  return element(
    "div",
    { className: "scroll" },
    element("table", {}, element("caption", {}, caption), element("thead", {}, head), element("tbody", {}, ...body), element("tfoot", {}, foot)),
  );
}

// A sentence as the models of a group cut it; `sentence` holds a mixture of each model.
function groupView(sentence, group, label) {
  const panel = element("div", { className: "mixtures", "aria-live": "polite" });
  const buttons = sentence[group[0]].tokens.slice(1).map((text, prediction) =>
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
    panel.replaceChildren(...group.map((index) => mixtureTable(data.models[index], sentence[index], prediction)));
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
  const line = element("div", { className: "sentence", role: "group", "aria-label": label }, ...buttons);
  return element("div", {}, line, panel);
}

function sentenceView(sentence, number) {
  const groups = groupModels(sentence.map((mixture) => mixture.tokens));
  const views = groups.flatMap((group) => {
    const names = group.map((index) => data.models[index].name).join(", ");
    if (groups.length === 1) return [groupView(sentence, group, `Sentence ${number + 1}`)];
    const heading = element("p", { className: "cut" }, names);
    return [heading, groupView(sentence, group, `Sentence ${number + 1}, ${names}`)];
  });
  return element("div", {}, ...views);
}

async function startMixtures() {
  if (!data.sentences.length) return;
  const sentences = await Promise.all(data.sentences.map((sentence) => Promise.all(sentence.map(unpackMixture))));
  document.getElementById("sentences").replaceChildren(...sentences.map(sentenceView));
  document.getElementById("mixtures").hidden = false;
}

async function start() {
  if (!("DecompressionStream" in window)) {
    throw new Error("This browser is too old: it cannot unpack the data (DecompressionStream).");
  }
  const vocabularies = await Promise.all(data.vocabularies.map(unpackVocabulary));
  for (const model of data.models) {
    model.vocabulary = vocabularies[model.vocabulary];
    model.lists = await Promise.all(model.lists.map(unpackList));
  }
  startWords();
  await startMixtures();
  document.body.dataset.ready = "yes";
}

start().catch((error) => {
  document.getElementById("error").textContent = error.message;
});
