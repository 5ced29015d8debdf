"use strict";
// Sorting, filtering, the theme. The pages are whole without it; it only moves and hides rows.

const root = document.documentElement;
const THEMES = ["auto", "light", "dark"];

function storedTheme() {
  try {
    const found = localStorage.getItem("feint-theme");
    return THEMES.includes(found) ? found : "auto";
  } catch {
    return "auto"; // no storage here: the system's theme
  }
}

function setTheme(theme) {
  if (theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = theme;
  try {
    localStorage.setItem("feint-theme", theme);
  } catch {
    // it holds for this page only
  }
}

setTheme(storedTheme()); // before anything is drawn

function themeButton() {
  const button = document.getElementById("theme");
  const say = () => (button.textContent = `Theme: ${storedTheme()}`);
  button.addEventListener("click", () => {
    setTheme(THEMES[(THEMES.indexOf(storedTheme()) + 1) % THEMES.length]);
    say();
  });
  say();
  button.hidden = false;
}

// -- sorting: within each group of rows, so that those which failed a gate stay below ------------

function valueOf(row, column) {
  const cell = row.cells[column];
  const given = cell?.dataset.v;
  if (given === undefined) return cell?.textContent.trim().toLowerCase() || null;
  return given === "" ? null : Number(given);
}

function compare(a, b) {
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
}

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const groups = [...table.tBodies].map((body) => ({
    body,
    rows: [...body.rows].filter((row) => !row.classList.contains("break")),
  }));
  heads.forEach((head, column) => {
    const first = head.dataset.first;
    if (!first) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    const second = first === "ascending" ? "descending" : "ascending";
    const next = { none: first, [first]: second, [second]: "none" };
    button.addEventListener("click", () => {
      const order = next[head.getAttribute("aria-sort")];
      for (const other of heads) if (other.dataset.first) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      for (const { body, rows } of groups) {
        const keyed = rows.map((row) => [valueOf(row, column), row]);
        if (order !== "none")
          keyed.sort(([a], [b]) => {
            if (a === null || b === null) return (a === null) - (b === null); // missing ones last
            return sign * compare(a, b);
          });
        body.append(...keyed.map(([, row]) => row));
      }
    });
  });
}

// -- filtering -----------------------------------------------------------------------------------

function filterable(form) {
  const table = document.getElementById(form.dataset.table);
  const rows = [...table.querySelectorAll("tbody tr:not(.break)")];
  const points = new Map();
  for (const point of document.querySelectorAll(".plot [data-row]")) {
    const row = point.dataset.row;
    points.set(row, [...(points.get(row) ?? []), point]);
  }
  const count = form.querySelector("output");
  const apply = () => {
    let shown = 0;
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = [...form.querySelectorAll("select")].filter((select) => select.value);
    for (const row of rows) {
      const kept =
        words.every((word) => row.dataset.text.includes(word)) &&
        wanted.every((select) => row.dataset[select.name] === select.value);
      row.hidden = !kept;
      shown += kept;
      for (const point of points.get(row.id) ?? []) point.classList.toggle("out", !kept);
    }
    for (const body of table.tBodies)
      for (const line of body.querySelectorAll(".break"))
        line.hidden = ![...body.rows].some((row) => row !== line && !row.hidden);
    count.textContent = `${shown} of ${rows.length} rows`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  form.hidden = false;
  apply();
}

// -- a row and its points in the plots light up together -----------------------------------------

function lit(target, on) {
  const row = target.closest?.("[data-row], tbody tr[id]");
  const id = row?.dataset.row ?? row?.id;
  if (!id) return;
  document.getElementById(id)?.classList.toggle("lit", on);
  for (const point of document.querySelectorAll(".plot [data-row]"))
    if (point.dataset.row === id) point.classList.toggle("lit", on);
}

document.addEventListener("DOMContentLoaded", () => {
  themeButton();
  document.querySelectorAll("table.board").forEach(sortable);
  document.querySelectorAll("form.filter").forEach(filterable);
  for (const [event, on] of Object.entries({ mouseover: true, mouseout: false, focusin: true, focusout: false }))
    document.addEventListener(event, ({ target }) => lit(target, on));
});
