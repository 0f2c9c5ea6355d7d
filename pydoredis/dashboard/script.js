
"use strict";

// Whatever comes from Redis is put into textContent and attributes only, never read as HTML.

const byId = (id) => document.getElementById(id);
const ACTIONS = {
  jobs: {
    label: "cancel",
    path: "api/cancel",
    question: (it) => `Cancel job ${it.job} of queue ${it.queue}?`,
    note: "An R coordinator would submit its tasks again: end it first.",
  },
  agents: {
    label: "have it leave",
    path: "api/drain",
    question: (it) => `Have the agent ${it.name} leave?`,
    note: "It finishes what runs and gives back the rest; what has started it may start it again.",
  },
};

let session = { actions: false };
let source = null;
let retry = 0;

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function say(id, text, failed = false) {
  const place = byId(id);
  if (place.textContent !== text) place.textContent = text;
  place.hidden = !text;
  place.classList.toggle("failed", failed);
}

function trouble(text) {
  say("trouble", text);
  document.body.classList.toggle("stale", Boolean(text));
}

// --- tables ------------------------------------------------------------------------------------------------

function section(title) {
  const found = byId(`table-${title}`);
  if (found) return found;
  const made = element("section", { id: `table-${title}` },
    element("h2", {}, `${title} `, element("span")),
    element("p", { className: "none" }, `no ${title}`),
    element("div", { className: "wide" }, element("table", {}, element("thead"), element("tbody"))),
    element("p", { className: "more" }));
  made.querySelector("table").setAttribute("aria-label", title);
  byId("tables").append(made);
  return made;
}

function draw(table) {
  const place = section(table.title);
  const acts = session.actions && table.about !== null && table.title in ACTIONS;
  const columns = acts ? [...table.columns, ""] : table.columns;
  const count = table.rows.length + table.left_out;
  place.querySelector("h2 span").textContent = count.toLocaleString("en");
  place.querySelector(".none").hidden = count > 0;
  place.querySelector(".wide").hidden = count === 0;
  place.querySelector(".more").hidden = table.left_out === 0;
  place.querySelector(".more").textContent = `and ${table.left_out.toLocaleString("en")} more`;
  const head = place.querySelector("thead");
  if (head.dataset.columns !== String(columns)) {
    head.dataset.columns = String(columns);
    head.replaceChildren(element("tr", {}, ...columns.map((name, at) =>
      element("th", { scope: "col", className: table.figures[at] ? "figure" : "" }, name))));
    place.querySelector("tbody").replaceChildren();
  }
  // A row that stays is the same element: what is selected or has the focus there keeps that.
  const body = place.querySelector("tbody");
  const before = new Map();
  for (const row of body.rows) {
    if (before.has(row.dataset.key)) before.get(row.dataset.key).push(row);
    else before.set(row.dataset.key, [row]);
  }
  const after = table.rows.map((cells, at) => {
    const row = before.get(table.keys[at])?.shift() ?? newRow(table, columns, at);
    cells.forEach((text, place) => fill(row.cells[place], text));
    if (acts) row.about = table.about[at];
    if (table.shares) progress(row.cells[table.columns.indexOf("done")], table.shares[at]);
    return row;
  });
  const kept = new Set(after);
  for (const row of [...body.rows]) if (!kept.has(row)) row.remove();
  after.forEach((row, at) => { if (body.rows[at] !== row) body.insertBefore(row, body.rows[at] ?? null); });
}

function newRow(table, columns, at) {
  const row = element("tr", {}, ...columns.map((name, place) => {
    const cell = element("td", { className: table.figures[place] ? "figure" : "" }, element("span"));
    cell.dataset.column = name;
    return cell;
  }));
  row.dataset.key = table.keys[at];
  if (columns.length > table.columns.length) {
    const action = ACTIONS[table.title];
    const button = element("button", { type: "button" }, action.label);
    button.addEventListener("click", () => ask(action, row.about));
    row.lastElementChild.replaceChildren(button);
  }
  return row;
}

function fill(cell, text) {
  const place = cell.firstElementChild;
  if (place.textContent !== text) place.textContent = text;
  cell.classList.toggle("empty", text === "-" || text === "");
}

function progress(cell, share) {
  let bar = cell.querySelector("progress");
  if (share === null) {
    bar?.remove();
    return;
  }
  if (!bar) cell.append(bar = element("progress", { max: 1 }));
  bar.value = share;
  bar.setAttribute("aria-label", `${Math.round(100 * share)} % done`);
}

// --- actions -----------------------------------------------------------------------------------------------

function ask(action, about) {
  const question = byId("question");
  byId("asked").textContent = action.question(about);
  byId("note").textContent = action.note;
  question.returnValue = "no";
  question.onclose = () => { if (question.returnValue === "yes") act(action, about); };
  question.showModal();
}

async function act(action, about) {
  let told;
  try {
    const answer = await fetch(action.path, {
      method: "POST",
      headers: { "Content-Type": "application/json", [session.csrf_header]: session.csrf },
      body: JSON.stringify(about),
    });
    const text = await answer.text();
    try { told = JSON.parse(text); } catch { told = { error: text }; }
  } catch {
    told = { error: "the dashboard does not answer; nothing may have been done" };
  }
  say("told", told.done ?? told.error, told.done === undefined);
  setTimeout(() => say("told", ""), 15000);
}

// --- events ------------------------------------------------------------------------------------------------

function connect() {
  disconnect();
  source = new EventSource("events");
  source.addEventListener("session", (event) => { session = JSON.parse(event.data); });
  source.addEventListener("snapshot", (event) => {
    const seen = JSON.parse(event.data);
    trouble("");
    say("server", seen.line);
    seen.tables.forEach(draw);
  });
  source.addEventListener("outage", (event) => {
    trouble(`${JSON.parse(event.data).error} What is shown here is older. Looking again …`);
  });
  source.onerror = async () => {
    trouble("The dashboard does not answer; trying again.");
    if (source?.readyState !== EventSource.CLOSED) return;
    // It has answered, and not with events.
    const answer = await fetch("api/session").catch(() => null);
    if (answer?.status === 401) location.reload();
    else retry = setTimeout(connect, 2000);
  };
}

function disconnect() {
  clearTimeout(retry);
  source?.close();
  source = null;
}

// Nobody looks at a page that is hidden, so it does not ask.
document.addEventListener("visibilitychange", () => { if (document.hidden) disconnect(); else connect(); });
if (!document.hidden) connect();
