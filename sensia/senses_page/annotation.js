"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const list = document.getElementById("items");
const place = `annotation ${data.file}`;
const NEITHER = "?";
const KEYS = { 1: "1", 2: "2", 0: NEITHER };

// Storage may be closed to a page that was opened as a file; answers then last as long as the page.
function stored() {
  try {
    return JSON.parse(localStorage.getItem(place)) || {};
  } catch {
    return {};
  }
}

const answers = stored();

function keep() {
  try {
    localStorage.setItem(place, JSON.stringify(answers));
  } catch {
    // The answers are in the page all the same.
  }
  const given = data.items.filter((item) => answers[item.id]).length;
  document.getElementById("done").textContent = `${given} of ${data.items.length} answered.`;
}

function choose(item, group, meaning) {
  answers[item.id] = meaning;
  group.querySelector(`input[value="${meaning}"]`).checked = true;
  keep();
}

function sentenceOf(item) {
  const line = document.createElement("p");
  const escaped = item.word.replace(/[.*+?^${}()|[\]\\]/gu, "\\$&");
  const parts = item.sentence.split(new RegExp(`(?<![\\p{L}])(${escaped})(?![\\p{L}])`, "iu"));
  for (const [number, part] of parts.entries()) {
    const piece = document.createElement(number % 2 ? "strong" : "span");
    piece.textContent = part;
    line.append(piece);
  }
  return line;
}

function show(item, number) {
  const entry = document.createElement("li");
  const group = document.createElement("fieldset");
  const legend = document.createElement("legend");
  legend.textContent = item.word;
  group.append(legend, sentenceOf(item));
  for (const [meaning, text] of [["1", item.first], ["2", item.second], [NEITHER, "neither, or both"]]) {
    const label = document.createElement("label");
    const radio = document.createElement("input");
    radio.type = "radio";
    radio.name = `item-${number}`;
    radio.value = meaning;
    radio.checked = answers[item.id] === meaning;
    radio.addEventListener("change", () => choose(item, group, meaning));
    label.append(radio, ` ${text} `);
    group.append(label);
  }
  group.addEventListener("keydown", (event) => {
    if (event.key in KEYS && !event.ctrlKey && !event.metaKey && !event.altKey) {
      choose(item, group, KEYS[event.key]);
      event.preventDefault();
    }
  });
  entry.append(group);
  list.append(entry);
}

function save() {
  const rows = data.items.map((item) =>
    [item.id, item.word, item.sentence, item.first, item.second, answers[item.id] || "", ""].join("\t"),
  );
  const file = new Blob([`${[data.columns.join("\t"), ...rows].join("\n")}\n`], { type: "text/tab-separated-values" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = data.file;
  link.click();
  URL.revokeObjectURL(link.href);
}

data.items.forEach(show);
document.getElementById("save").addEventListener("click", save);
keep();
