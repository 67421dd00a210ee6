"use strict";
// Comfort only: without this script everything on the page can be read.

const root = document.documentElement;

function theme() {
  const button = document.createElement("button");
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const label = () => { button.textContent = dark() ? "Light colours" : "Dark colours"; };
  button.type = "button";
  button.id = "theme";
  button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; label(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", label);
  label();
  document.querySelector("nav").append(button);
}

// The number that a cell begins with; null for a word.
function number(text) {
  const found = /^[-+]?[\d,]*\.?\d+(e[-+]?\d+)?/i.exec(text.trim());
  return found ? parseFloat(found[0].replaceAll(",", "")) : null;
}

function sortable(table, rows) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent || "Name";
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const turn = { none: "ascending", ascending: "descending", descending: "none" }[head.ariaSort || "none"];
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (turn !== "none") head.setAttribute("aria-sort", turn);
      body.append(...(turn === "none" ? rows : sorted(rows, column, turn === "ascending" ? 1 : -1)));
    });
  });
}

// What has no value (a dash, a word among numbers) stays at the end in both directions.
function sorted(rows, column, way) {
  const keyed = rows.map((row) => [row, row.cells[column].textContent]).map(([row, text]) => [row, text, number(text)]);
  const numeric = keyed.filter(([, , value]) => value !== null).length * 2 > keyed.length;
  const empty = ([, text, value]) => (numeric ? value === null : ["", "-"].includes(text));
  return keyed.sort((a, b) => {
    if (empty(a) || empty(b)) return empty(a) - empty(b);
    return way * (numeric ? a[2] - b[2] : a[1].localeCompare(b[1], undefined, { numeric: true }));
  }).map(([row]) => row);
}

function filterable(block, rows, title) {
  const input = document.createElement("input");
  const told = document.createElement("span");
  input.type = "search";
  input.placeholder = "Filter rows";
  input.setAttribute("aria-label", `Filter rows of ${title}`);
  told.setAttribute("role", "status");
  told.className = "soft";
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    told.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
  });
  block.querySelector(".tools").prepend(input, told);
}

function printable() {
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((one) => { one.open = false; }));
}

// A link to what stands folded opens it.
function unfold() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let one = target && target.closest("details"); one; one = one.parentElement.closest("details")) one.open = true;
}

theme();
for (const block of document.querySelectorAll(".block")) {
  const table = block.querySelector("table");
  const rows = [...table.tBodies[0].rows];
  if (rows.length > 1) sortable(table, rows);
  if (rows.length > 7) filterable(block, rows, block.dataset.title);
}
printable();
addEventListener("hashchange", unfold);
unfold();
