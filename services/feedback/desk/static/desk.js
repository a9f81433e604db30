// The frame: menu on small screens, messages, and the one connection that tells what changes.
// Pages listen on the body for `desk:draft`, `desk:mail`, `desk:document`, `desk:lock`, `desk:reply`
// (detail: {id, op, …}) and `desk:resync` (something was missed: load again).
"use strict";

document.documentElement.classList.add("js");

/** Show `text` for some seconds; screen readers read it politely. */
function announce(text) {
  const line = document.createElement("p");
  line.className = "toast";
  line.textContent = text;
  const place = document.getElementById("toasts");
  place.replaceChildren(line);
  setTimeout(() => line.remove(), 8000);
}
window.desk = { announce };

function menu() {
  const button = document.querySelector(".menu-button");
  if (!button) return;
  const panel = document.getElementById("menu");
  const set = (open) => {
    button.setAttribute("aria-expanded", String(open));
    panel.classList.toggle("open", open);
  };
  button.hidden = false;
  button.addEventListener("click", () => set(button.getAttribute("aria-expanded") !== "true"));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && panel.classList.contains("open")) {
      set(false);
      button.focus();
    }
  });
}

/** One EventSource while the page is looked at: browsers allow six connections to a site. */
function follow() {
  if (!document.querySelector("[data-live]")) return;
  const kinds = ["draft", "mail", "document", "lock", "reply", "resync"];
  const lost = document.getElementById("toasts").dataset.lost;
  let source = null;
  let away = false;
  let silent = 0;
  const tell = (kind, data) =>
    document.body.dispatchEvent(new CustomEvent("desk:" + kind, { detail: data ? JSON.parse(data) : {} }));
  const open = () => {
    if (source && source.readyState !== EventSource.CLOSED) return;
    source = new EventSource("/desk/live");
    for (const kind of kinds) source.addEventListener(kind, (event) => tell(kind, event.data));
    source.onopen = () => {
      document.body.dataset.following = "";
      clearTimeout(silent);
      silent = 0;
      if (away) tell("resync");
      away = false;
    };
    source.onerror = () => {
      delete document.body.dataset.following;
      away = true;
      silent ||= setTimeout(() => document.hidden || announce(lost), 4000);
      // A refusal (signed out, proxy) ends an EventSource for good: try again now and then.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => document.hidden || open(), 15000);
    };
  };
  const close = () => {
    if (source) source.close();
    clearTimeout(silent);
    source = null;
    silent = 0;
    away = true;
    delete document.body.dataset.following;
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", (event) => event.persisted && open());
  open();
}

/** Says how many drafts came since the page was opened, once for those that come together. */
function count() {
  const words = document.querySelector("[data-new-one]");
  if (!words) return;
  let fresh = 0;
  let timer = 0;
  document.body.addEventListener("desk:draft", (event) => {
    if (event.detail.op !== "insert" || event.detail.status !== "waiting") return;
    fresh += 1;
    clearTimeout(timer);
    timer = setTimeout(() => {
      announce(fresh === 1 ? words.dataset.newOne : words.dataset.newMany.replace("{n}", String(fresh)));
      fresh = 0;
    }, 700);
  });
}

/** Lists load their lines again when something changed: not for each change of many, and spread
 * over the pages that are open; and once a minute, because ages grow. */
function refresh() {
  const lists = document.querySelectorAll("[data-live][hx-get]");
  if (!lists.length) return;
  let timer = 0;
  let since = 0;
  let last = 0;
  const now = () => {
    timer = since = 0;
    last = Date.now();
    if (!document.hidden) for (const list of lists) list.dispatchEvent(new Event("desk:refresh"));
  };
  const soon = () => {
    since ||= Date.now();
    clearTimeout(timer);
    const pause = Math.max(250 + Math.random() * 350, last + 1500 - Date.now());
    timer = setTimeout(now, Date.now() - since > 2000 ? 0 : pause);
  };
  const kinds = (lists[0].dataset.live || "draft mail lock reply").split(" ");
  for (const kind of [...kinds, "resync"]) document.body.addEventListener("desk:" + kind, soon);
  setInterval(now, 60000);
}

/** A page about one e-mail that waits for something loads again when that e-mail changed. */
function reload() {
  const page = document.querySelector("[data-reload]");
  if (!page) return;
  const id = page.dataset.reload;
  for (const kind of ["draft", "mail"])
    document.body.addEventListener("desk:" + kind, ({ detail }) => {
      if (detail.id === id || detail.mail === id) window.location.reload();
    });
}

/** On a small screen filters are folded unless they are in use. Choosing one does nothing yet:
 * by keyboard each value on the way would load the page. */
function filters() {
  const fold = document.querySelector("details.fold");
  if (fold && !fold.hasAttribute("data-used") && window.matchMedia("(max-width: 48rem)").matches) fold.open = false;
}

/** An answer that is no fragment for this page (signed out, error): show it whole. */
function errors() {
  document.body.addEventListener("htmx:responseError", (event) => {
    const status = event.detail.xhr.status;
    if (status === 401 || status === 403) window.location.reload();
  });
}

document.addEventListener("DOMContentLoaded", () => {
  menu();
  follow();
  count();
  refresh();
  reload();
  filters();
  errors();
});
