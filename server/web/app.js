// The page of refrag-server. All text from the server is set through textContent, never as HTML.
"use strict";

const byId = (id) => document.getElementById(id);
let running = null;  // the AbortController of the question being answered
let lastDocument = "";

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function headers(more) {
  const key = byId("key").value;
  return key ? { ...more, Authorization: `Bearer ${key}` } : { ...more };
}

async function fail(response) {
  let text = `${response.status} ${response.statusText}`;
  try {
    text = (await response.json()).error.message;
  } catch { /* no JSON: the status has to do */ }
  if (response.status === 401) byId("settings-button").click();
  throw new Error(text);
}

async function call(path, options = {}) {
  const response = await fetch(path, { ...options, headers: headers(options.headers) });
  if (!response.ok) await fail(response);
  return response;
}

function showProblem(text) {
  byId("problem").textContent = text;
  byId("problem").hidden = !text;
}

// Server-sent events from a response's body: (event, data) pairs. EventSource cannot POST.
async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    buffer += value;
    for (let end = buffer.indexOf("\n\n"); end >= 0; end = buffer.indexOf("\n\n")) {
      const event = { name: "", data: "" };
      for (const line of buffer.slice(0, end).split("\n")) {
        if (line.startsWith("event: ")) event.name = line.slice(7);
        if (line.startsWith("data: ")) event.data += line.slice(6);
      }
      buffer = buffer.slice(end + 2);
      if (event.data) yield [event.name, JSON.parse(event.data)];
    }
  }
}

function questionBody() {
  const mode = new FormData(byId("ask")).get("mode");
  const retrieve = { top_k: Number(byId("top-k").value) };
  if (byId("retrieve-mode").value) retrieve.mode = byId("retrieve-mode").value;
  const body = {
    question: byId("question").value,
    mode,
    max_tokens: Number(byId("max-tokens").value),
    temperature: Number(byId("temperature").value),
    stream: true,
  };
  if (mode !== "none") body.retrieve = retrieve;
  if (mode === "refrag") body.expand = { fraction: Number(byId("fraction").value) / 100 };
  return body;
}

// Chunk positions are code points of the document; strings here are UTF-16.
function passageText(hit) {
  const points = Array.from(hit.text);
  const pre = element("pre");
  let at = hit.start;
  const take = (end) => points.slice(at - hit.start, end - hit.start).join("");
  hit.chunks.forEach((chunk) => {
    if (chunk.start > at) pre.append(take(chunk.start));
    at = Math.max(at, chunk.start);
    const span = element("span", `chunk ${chunk.state}`, take(chunk.end));
    const score = chunk.score === null ? "" : ` · score ${chunk.score.toFixed(3)}`;
    span.dataset.tip = `${chunk.state.replaceAll("_", " ")}${score}${chunk.reason ? ` · ${chunk.reason}` : ""}`;
    span.tabIndex = 0;
    pre.append(span);
    at = chunk.end;
  });
  pre.append(take(hit.end));
  return pre;
}

function showPassages(retrieval) {
  const cards = retrieval.hits.map((hit) => {
    const card = element("article", "card passage");
    const head = element("header");
    head.append(element("b", "", hit.title || hit.document_id), element("span", "", hit.passage_id));
    const scores = [`score ${hit.score.toPrecision(3)}`];
    for (const kind of ["dense", "lexical", "rerank"]) {
      if (hit[kind]) scores.push(`${kind} ${hit[kind].score.toPrecision(3)} (rank ${hit[kind].rank})`);
    }
    head.append(element("span", "", scores.join(" · ")));
    card.append(head, passageText(hit));
    return card;
  });
  byId("passages").replaceChildren(...cards);
  if (retrieval.empty) byId("passages").append(element("p", "quiet", "No passages."));
}

function markExpanded(hits, chunks) {
  for (const { passage, chunk } of chunks) {
    if (hits[passage] && hits[passage].chunks[chunk]) hits[passage].chunks[chunk].state = "expanded_while_decoding";
  }
}

function showFigures(answer) {
  const { usage, timings_ms: times } = answer;
  const milliseconds = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
  const prompt = usage.question_tokens + usage.context_tokens;
  const rows = [
    [`${usage.prompt_positions} of ${prompt}`, "positions read, of tokens"],
    [`${usage.expanded + usage.expanded_while_decoding} of ${usage.chunks}`, "chunks expanded"],
    [milliseconds(times.ttft), "to the first token"],
    [milliseconds(times.per_token), "a token after that"],
    [milliseconds(times.retrieve), "search"],
    [milliseconds(times.prefill), "prefill"],
    [usage.completion_tokens, `tokens (${answer.finish_reason})`],
    [milliseconds(times.total), "in all"],
  ];
  byId("figures").replaceChildren(...rows.map(([value, label]) => {
    const figure = element("div", "figure");
    figure.append(element("b", "", String(value)), element("span", "", label));
    return figure;
  }));
}

function show(name, data, state) {
  if (name === "retrieval") {
    state.hits = data.hits;
    showPassages(data);
  } else if (name === "token") {
    byId("answer").append(data.text);
  } else if (name === "expansion") {
    markExpanded(state.hits, data.chunks);
    showPassages({ empty: state.hits.length === 0, hits: state.hits });
  } else if (name === "done") {
    byId("answer").textContent = data.answer;
    const sources = data.citations.map((citation) => `${citation.passage_id} (${citation.start}–${citation.end})`);
    byId("sources").textContent = sources.length ? `Sources: ${sources.join(", ")}` : "";
    showPassages(data.retrieval);
    showFigures(data);
  } else if (name === "error") {
    throw new Error(data.error.message);
  }
}

function setRunning(controller) {
  running = controller;
  byId("go").disabled = controller !== null;
  byId("stop").hidden = controller === null;
  byId("answer").classList.toggle("running", controller !== null);
}

async function ask(submitted) {
  submitted.preventDefault();
  if (running) return;
  setRunning(new AbortController());
  showProblem("");
  for (const id of ["answer", "sources", "figures", "passages"]) byId(id).replaceChildren();
  byId("result").hidden = false;
  const state = { hits: [] };
  try {
    const response = await call("v1/query", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(questionBody()),
      signal: running.signal,
    });
    for await (const [name, data] of eventsOf(response)) show(name, data, state);
  } catch (error) {
    if (error.name !== "AbortError") showProblem(error.message);
  }
  setRunning(null);
}

async function listDocuments(after) {
  try {
    const page = await (await call(`v1/documents?limit=20&after=${encodeURIComponent(after)}`)).json();
    const items = page.documents.map((document_) => {
      const item = element("li");
      const remove = element("button", "", "Delete");
      remove.type = "button";
      remove.addEventListener("click", () => removeDocument(document_.id, item));
      item.append(element("span", "name", document_.title || document_.id),
        element("span", "quiet", `${document_.passages} passages, ${document_.chunks} chunks`), remove);
      return item;
    });
    if (after) byId("documents").append(...items);
    else byId("documents").replaceChildren(...items);
    lastDocument = page.next || "";
    byId("more").hidden = !page.next;
  } catch (error) {
    byId("upload-status").textContent = error.message;
  }
}

async function removeDocument(id, item) {
  try {
    await call(`v1/documents/${encodeURIComponent(id)}`, { method: "DELETE" });
    item.remove();
  } catch (error) {
    byId("upload-status").textContent = error.message;
  }
}

async function upload() {
  const form = new FormData();
  for (const file of byId("files").files) form.append("file", file, file.name);
  byId("upload-status").textContent = "Indexing…";
  try {
    const report = await (await call("v1/documents", { method: "POST", body: form })).json();
    const problems = report.results.filter((result) => result.error).map((result) => `${result.id}: ${result.error}`);
    byId("upload-status").textContent = [
      `${report.created} new, ${report.replaced} replaced, ${report.unchanged} unchanged, ${report.errors} left out.`,
      ...problems].join(" ");
    await listDocuments("");
  } catch (error) {
    byId("upload-status").textContent = error.message;
  }
  byId("files").value = "";
}

async function describeModel() {
  try {
    const model = (await (await call("v1/models")).json()).data[0];
    byId("model").textContent = `${model.id} · ${model.context_length} positions · ${model.chunk_size} tokens a chunk`;
  } catch (error) {
    byId("model").textContent = error.message;
  }
}

function moveTip(event) {
  const tip = byId("tip");
  const text = event.target.dataset ? event.target.dataset.tip : "";
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const box = event.target.getBoundingClientRect();
  tip.style.left = `${Math.max(8, Math.min(box.left, window.innerWidth - tip.offsetWidth - 8))}px`;
  const below = box.bottom + 6;
  tip.style.top = `${below + tip.offsetHeight < window.innerHeight ? below : box.top - tip.offsetHeight - 6}px`;
}

function updateFraction() {
  byId("fraction-value").textContent = `${byId("fraction").value} %`;
  byId("fraction-field").hidden = new FormData(byId("ask")).get("mode") !== "refrag";
}

byId("ask").addEventListener("submit", ask);
byId("ask").addEventListener("input", updateFraction);
byId("stop").addEventListener("click", () => running && running.abort());
byId("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    byId("ask").requestSubmit();
  }
});
byId("settings-button").addEventListener("click", () => {
  byId("settings").hidden = !byId("settings").hidden;
  byId("settings-button").setAttribute("aria-expanded", String(!byId("settings").hidden));
});
byId("key").addEventListener("change", () => {
  describeModel();
  listDocuments("");
});
byId("files").addEventListener("change", upload);
byId("more").addEventListener("click", () => listDocuments(lastDocument));
for (const kind of ["mouseover", "focusin"]) document.addEventListener(kind, moveTip);
updateFraction();
describeModel();
listDocuments("");
