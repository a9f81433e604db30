// The review page: saves what is typed, follows the marks [n], tells what others do, shortcuts.
// Everything here is also a plain button or link.
"use strict";

(() => {
  const page = document.getElementById("review");
  const MARK = /\[(\d{1,3}(?:\s?,\s?\d{1,3})*)\]/g;
  const SAVE_AFTER = 900;
  const byId = (id) => document.getElementById(id);

  /** A shortcut is Alt (with Shift or not) and a letter, never a key alone. */
  function shortcuts(keys) {
    document.addEventListener("keydown", (event) => {
      const combined = event.altKey && !event.ctrlKey && !event.metaKey;
      // The letter that is written on the key; where Alt makes another sign of it, the key's place.
      const letter = /^[a-z]$/i.test(event.key) ? event.key.toUpperCase() : event.code.replace("Key", "");
      const name = combined ? letter : event.ctrlKey && event.key === "Enter" ? "Enter" : "";
      const act = name && keys[name];
      if (!act || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      act();
    });
  }
  const press = (id) => () => byId(id) && byId(id).click();
  /** Opens a `details` and goes to its first field. */
  const open = (id, field) => () => {
    const box = byId(id);
    if (!box) return;
    box.open = true;
    (box.querySelector(field) || box.querySelector("summary")).focus();
  };
  const go = (id) => () => byId(id) && byId(id).focus();

  const checking = byId("check-page");
  if (checking) {
    shortcuts({ Enter: press("approve"), A: go("approve"), T: press("back") });
    return;
  }
  if (!page) return;

  const base = page.dataset.base;
  const form = byId("edit");
  const text = byId("text");
  const writable = "writable" in page.dataset;
  const store = "sourcier-edit-" + page.dataset.draft;

  // -- the sources ---------------------------------------------------------------------------

  /** Show the source of a mark: its passage, highlighted in its document. */
  function openSource(number) {
    const card = byId("source-" + number);
    if (!card) return;
    for (const other of document.querySelectorAll(".source.chosen")) other.classList.remove("chosen");
    card.classList.add("chosen");
    const inside = card.querySelector(".in-document");
    if (inside) inside.open = true;
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: "nearest" });
  }
  document.addEventListener("click", (event) => {
    const mark = event.target.closest("a.mark");
    if (!mark) return;
    event.preventDefault();
    openSource(mark.hash.replace("#source-", ""));
  });
  // A passage that arrived in its document: bring it into sight within its box.
  document.body.addEventListener("htmx:afterSwap", (event) => {
    const mark = event.target.querySelector(".passage-mark");
    if (!mark) return;
    const box = mark.closest(".document-text");
    box.scrollTop = Math.max(0, mark.offsetTop - box.offsetTop - 24);
  });

  const keys = {
    N: press("next"),
    M: go("h-mail"),
    S: () => {
      const number = text && markAt(text.selectionStart);
      if (number && document.activeElement === text) openSource(number);
      else go("h-sources")();
    },
  };
  if (!form || !text) {
    shortcuts(keys);
    return;
  }

  // -- the text ------------------------------------------------------------------------------

  const saved = byId("saved");
  const revision = form.elements.revision;
  const known = () => new Set([...document.querySelectorAll(".source")].map((card) => card.id.replace("source-", "")));

  function markAt(position) {
    for (const found of text.value.matchAll(MARK)) {
      if (position > found.index && position < found.index + found[0].length) return found[1].split(",")[0].trim();
    }
    return null;
  }

  /** The text in nodes, its marks apart; `make(number, text)` makes a mark. */
  function pieces(value, make) {
    const nodes = [];
    let at = 0;
    for (const found of value.matchAll(MARK)) {
      nodes.push(document.createTextNode(value.slice(at, found.index)));
      nodes.push(...make(found));
      at = found.index + found[0].length;
    }
    nodes.push(document.createTextNode(value.slice(at) + "\n"));
    return nodes;
  }
  const behind = document.querySelector(".editor-marks");
  const preview = byId("preview");
  const unknownNote = byId("unknown");
  function paint() {
    const numbers = known();
    const unknown = [];
    behind.replaceChildren(
      ...pieces(text.value, (found) => {
        const span = document.createElement("span");
        const lost = found[1].split(",").map((n) => String(Number(n))).filter((n) => !numbers.has(n));
        unknown.push(...lost);
        span.className = lost.length ? "lost" : "found";
        span.textContent = found[0];
        return [span];
      }),
    );
    preview.replaceChildren(
      ...pieces(text.value, (found) =>
        found[1].split(",").map((n) => {
          const number = String(Number(n));
          const mark = document.createElement(numbers.has(number) ? "a" : "span");
          mark.className = numbers.has(number) ? "mark" : "mark unknown";
          if (numbers.has(number)) mark.href = "#source-" + number;
          mark.textContent = "[" + number + "]";
          return mark;
        }),
      ),
    );
    unknownNote.hidden = unknown.length === 0;
    const told = unknown.length ? unknownNote.dataset.text + " " + unknown.map((n) => "[" + n + "]").join(" ") : "";
    if (unknownNote.textContent !== told) unknownNote.textContent = told;
    fit();
  }
  function fit() {
    if (CSS.supports("field-sizing", "content")) return;
    text.style.height = "auto";
    text.style.height = text.scrollHeight + 2 + "px";
  }
  text.addEventListener("scroll", () => (behind.scrollTop = text.scrollTop));
  text.addEventListener("click", () => {
    const number = text.selectionStart === text.selectionEnd && markAt(text.selectionStart);
    if (!number || !byId("source-" + number)) return;
    const at = text.selectionStart;
    openSource(number);
    text.focus({ preventScroll: true });
    text.setSelectionRange(at, at);
  });

  // -- saving --------------------------------------------------------------------------------

  let kept = text.value;
  let timer = 0;
  let pause = SAVE_AFTER;
  let busy = Promise.resolve();
  let stopped = false;
  let leaving = false;

  const dirty = () => text.value !== kept;
  function say(words) {
    if (saved) saved.textContent = words;
  }
  function remember() {
    try {
      if (dirty()) sessionStorage.setItem(store, JSON.stringify({ text: text.value, revision: revision.value }));
      else sessionStorage.removeItem(store);
    } catch {
      // No storage in this browser: the server keeps the text as soon as it answers.
    }
  }

  /** Send the form to an action; what the answer says goes into the page. One at a time. */
  function send(action, options = {}) {
    const run = async () => {
      const body = new URLSearchParams(new FormData(form));
      const sent = text.value;
      say(page.dataset.saidSaving);
      const answer = await fetch(action, {
        method: "POST",
        body,
        headers: { Accept: "application/json" },
        credentials: "same-origin",
        redirect: "error",
        keepalive: Boolean(options.keepalive),
      });
      const type = answer.headers.get("content-type") || "";
      const told = type.includes("json") ? await answer.json() : {};
      if (!answer.ok) throw Object.assign(new Error(told.detail || answer.status), { status: answer.status, told });
      took(told, sent);
      return told;
    };
    const result = busy.then(run, run);
    busy = result.catch(() => {});
    return result;
  }

  /** What the server made of it; what was typed meanwhile stays. */
  function took(told, sent) {
    revision.value = told.revision;
    if (told.text !== sent && text.value === sent) {
      const at = text.selectionStart;
      text.value = told.text;
      text.setSelectionRange(at, at);
    }
    kept = told.text;
    byId("difference").innerHTML = told.difference;
    say(page.dataset.saidSaved + " " + new Date().toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" }));
    pause = SAVE_AFTER;
    remember();
  }

  /** The column of sources as it is now; focus, what was opened and what is being searched stay. */
  function putSources(html, searched) {
    const column = byId("sources");
    const q = byId("q");
    const typing = q && !searched && { value: q.value, at: q.selectionStart };
    const focus = document.activeElement && column.contains(document.activeElement) ? document.activeElement.id : "";
    const opened = [...column.querySelectorAll("details[open]")].map((box) => box.closest("[id]") && box.closest("[id]").id);
    const scroll = column.scrollTop;
    const fresh = new DOMParser().parseFromString(html, "text/html").getElementById("sources");
    column.replaceWith(fresh);
    window.htmx && window.htmx.process(fresh);
    inserters();
    if (typing && byId("q")) {
      byId("q").value = typing.value;
      byId("found").replaceWith(column.querySelector("#found"));
    }
    fresh.scrollTop = scroll;
    for (const id of opened) {
      const box = id && byId(id) && byId(id).querySelector("details");
      if (box) box.open = true;
    }
    const again = focus && (byId(focus) || byId(focus.startsWith("uncite-") ? "h-sources" : ""));
    if (again) again.focus({ preventScroll: true });
    if (again && again.id === "q" && typing) again.setSelectionRange(typing.at, typing.at);
    paint();
  }

  function refused(error) {
    if (error.told && error.told.kind) {
      stopped = error.told.kind === "closed";
      notice(error.told);
      say("");
      return;
    }
    const words = error.status === 401 || error.status === 403 ? page.dataset.saidLeave : page.dataset.saidFailed;
    if (saved.textContent !== words && pause === SAVE_AFTER) window.desk.announce(words);
    say(words);
    remember();
    pause = Math.min(pause * 2, 5000);
    schedule();
  }

  function schedule() {
    clearTimeout(timer);
    if (!stopped) timer = setTimeout(save, pause);
  }
  async function save() {
    clearTimeout(timer);
    if (!writable || stopped || !dirty()) return;
    try {
      await send(base + "/save");
      if (dirty()) schedule();
    } catch (error) {
      refused(error);
    }
  }

  // -- what others do ------------------------------------------------------------------------

  /** A refusal in words, with the buttons that the page itself would offer. */
  function notice(told) {
    const box = document.createElement("div");
    box.className = "alert bad";
    box.id = "conflict";
    box.dataset.kind = told.kind;
    box.setAttribute("role", "alert");
    const title = document.createElement("p");
    title.className = "alert-title";
    title.textContent = told.title;
    const detail = document.createElement("p");
    detail.textContent = told.detail || "";
    box.append(title, detail);
    const offer = { held: "take", overwritten: "save" }[told.kind];
    const words = byId("offers");
    if (offer && words) {
      const button = document.createElement("button");
      button.type = "submit";
      button.className = "button small";
      button.setAttribute("form", "edit");
      button.formAction = base + "/" + offer;
      button.textContent = words.dataset[told.kind];
      box.append(button);
    } else if (told.kind === "closed" && words) {
      const link = document.createElement("a");
      link.className = "button small";
      link.href = base;
      link.textContent = words.dataset.closed;
      box.append(link);
    }
    const old = byId("conflict");
    if (old) old.remove();
    byId("notices").prepend(box);
  }

  const asked = page.dataset.asked || "";
  let waiting = Boolean(asked) && !byId("newer");
  let looking = 0;
  async function look() {
    let now;
    try {
      const answer = await fetch(base + "/state" + (asked ? "?asked=" + asked : ""), { credentials: "same-origin" });
      if (!answer.ok) return;
      now = await answer.json();
    } catch {
      return;
    }
    const words = byId("offers").dataset;
    if (now.status !== "waiting") {
      stopped = true;
      if (!byId("conflict")) notice({ kind: "closed", title: words.closedTitle, detail: now.said });
    } else if (writable && now.holder) {
      if (!byId("conflict")) notice({ kind: "held", title: words.heldTitle, detail: words.heldDetail.replace("{name}", now.holder) });
    } else if (!writable && !now.holder && !byId("conflict")) {
      notice({ kind: "closed", title: words.freeTitle, detail: "" });
    } else if (writable && byId("conflict") && byId("conflict").dataset.kind === "held") {
      byId("conflict").remove();
      save();
    }
    if (waiting && now.progress) {
      const shown = document.querySelector(".asked-text");
      shown.hidden = false;
      shown.textContent = now.progress;
    }
    if (now.newer && !byId("newer")) arrived(now.newer);
  }
  function arrived(draft) {
    waiting = false;
    const box = byId("asked") || document.createElement("div");
    box.className = "alert info";
    box.setAttribute("role", "status");
    const link = document.createElement("a");
    link.id = "newer";
    link.className = "button small";
    link.href = "/desk/drafts/" + draft;
    link.textContent = byId("offers").dataset.newer;
    const said = document.createElement("p");
    said.textContent = page.dataset.saidNew + " ";
    said.append(link);
    box.replaceChildren(said);
    if (!box.isConnected) byId("notices").prepend(box);
    const free = document.activeElement === document.body || !dirty();
    if (asked && free && document.activeElement !== text) link.focus();
  }
  function soon() {
    clearTimeout(looking);
    looking = setTimeout(look, 400);
  }
  for (const kind of ["draft", "lock", "resync"]) {
    document.body.addEventListener("desk:" + kind, (event) => {
      const own = event.detail.id === page.dataset.draft;
      if (kind === "resync") save();
      if (kind === "resync" || own || (kind === "draft" && event.detail.op !== "update")) soon();
    });
  }
  if (!writable) setInterval(() => document.hidden || look(), 20000);
  (async function poll() {
    const until = Date.now() + 180000;
    while (waiting && Date.now() < until) {
      await look();
      await new Promise((next) => setTimeout(next, 1000));
    }
  })();

  // -- actions -------------------------------------------------------------------------------

  function insert(number) {
    const mark = "[" + number + "]";
    const at = text.selectionEnd;
    const before = text.value[at - 1];
    const blank = before && !/[\s[(]/.test(before) ? " " : "";
    text.focus();
    text.setRangeText(blank + mark, at, at, "end");
    paint();
    window.desk.announce(page.dataset.saidInserted.replace("{n}", mark));
    send(base + "/save").then((told) => putSources(told.sources), refused);
  }
  /** Take a source's marks out, as the server does; the cursor stays where it is. */
  function drop(number) {
    for (const found of [...text.value.matchAll(MARK)].reverse()) {
      const numbers = found[1].split(",").map((n) => String(Number(n)));
      if (!numbers.includes(number)) continue;
      const left = numbers.filter((n) => n !== number).join(", ");
      const end = found.index + found[0].length;
      let start = found.index;
      while (!left && text.value[end] !== "[" && start > 0 && " \u00a0\u202f".includes(text.value[start - 1])) start--;
      text.setRangeText(left && "[" + left + "]", start, end, "preserve");
    }
    paint();
  }
  function inserters() {
    for (const button of document.querySelectorAll("[data-insert]")) button.hidden = false;
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-insert]");
    if (button) insert(button.dataset.insert);
  });

  async function partly(button) {
    clearTimeout(timer);
    const action = button.getAttribute("formaction") || base + "/save";
    try {
      if (button.dataset.drop) drop(button.dataset.drop);
      const told = await send(action);
      putSources(told.sources, button.id === "search");
      if (told.number && "cite" in button.dataset) {
        const same = byId(button.id);
        if (same) same.closest(".passage").remove();
        insert(told.number);
      }
      else if (button.id === "search") {
        const first = document.querySelector("#found button");
        if (first) first.focus();
      } else paint();
    } catch (error) {
      refused(error);
    }
  }

  if (writable) {
    form.addEventListener("submit", (event) => {
      const button = event.submitter;
      if (button && "partial" in button.dataset) {
        event.preventDefault();
        partly(button);
        return;
      }
      // The page goes away with what was typed in it.
      leaving = true;
      clearTimeout(timer);
      try {
        sessionStorage.removeItem(store);
      } catch {
        // nothing was stored
      }
    });
    document.addEventListener("keydown", (event) => {
      if (event.target.id === "q" && event.key === "Enter" && !event.ctrlKey) {
        event.preventDefault();
        byId("search").click();
      }
      const panel = event.key === "Escape" && event.target.closest("#reject-box, #again-box");
      if (panel) {
        panel.open = false;
        panel.querySelector("summary").focus();
      }
    });
    text.addEventListener("input", () => {
      paint();
      remember();
      schedule();
    });
    const flush = () => {
      if (leaving || stopped || !dirty()) return;
      remember();
      send(base + "/save", { keepalive: true }).catch(() => {});
    };
    window.addEventListener("pagehide", () => {
      flush();
      if (leaving || stopped || dirty() || revision.value !== "0") return;
      // Only looked at: others need not wait for the lock to expire.
      const body = new URLSearchParams({ csrf: form.elements.csrf.value });
      const headers = { Accept: "application/json" };
      fetch(base + "/release", { method: "POST", body, headers, redirect: "manual", keepalive: true }).catch(() => {});
    });
    document.addEventListener("visibilitychange", () => document.hidden && flush());
    try {
      const lost = JSON.parse(sessionStorage.getItem(store) || "null");
      if (lost && lost.text !== text.value) {
        // Typed while the server was away. If another text was saved since, it says so.
        text.value = lost.text;
        revision.value = lost.revision;
        say(page.dataset.saidRestored);
        save();
      } else if (lost) sessionStorage.removeItem(store);
    } catch {
      // no storage, nothing to restore
    }
    const help = byId("help");
    const opener = byId("help-open");
    opener.hidden = false;
    opener.addEventListener("click", () => help.showModal());
    Object.assign(keys, {
      A: press("check"),
      Enter: () => {
        const panel = document.activeElement.closest("#reject-box, #again-box");
        press(panel ? panel.id.replace("-box", "") : "check")();
      },
      R: open("reject-box", "input"),
      G: open("again-box", "textarea"),
      V: open("difference-box", "summary"),
      T: go("text"),
      C: go("q"),
      H: press("help-open"),
    });
  }
  inserters();
  paint();
  shortcuts(keys);
})();
