// Handing documents in: several files at once, dropped or chosen, each with its progress.
// Without this script the form sends them all in one go.
"use strict";

// A list that is loaded again is no news: only a standing that has changed is said.
document.addEventListener("DOMContentLoaded", () => {
  const known = new Map();
  const look = () => {
    const told = [];
    for (const each of document.querySelectorAll("[data-standing]")) {
      const key = each.dataset.standing;
      const text = each.textContent.trim().replace(/\s+/g, " ");
      if (known.has(key) && known.get(key) !== text) told.push(`${each.dataset.name} : ${text}`);
      known.set(key, text);
    }
    if (told.length) window.desk.announce(told.join(" ; "));
  };
  look();
  document.body.addEventListener("htmx:afterSettle", look);
});

document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("upload");
  if (!form) return;
  const input = form.querySelector("input[type=file]");
  const drop = document.getElementById("drop");
  const sending = document.getElementById("sending");
  const queue = [];
  let busy = 0;

  /** A line of the list of files on their way. */
  function line(file) {
    const item = document.createElement("li");
    const name = document.createElement("span");
    const bar = document.createElement("progress");
    const said = document.createElement("span");
    name.className = "sending-name";
    name.textContent = file.name;
    said.className = "sending-said";
    bar.max = 100;
    bar.value = 0;
    bar.setAttribute("aria-label", file.name);
    item.append(name, bar, said);
    sending.append(item);
    return { item, bar, said };
  }

  function failed(row, why) {
    row.item.classList.add("bad");
    row.bar.remove();
    row.said.textContent = why;
  }

  function send(file, row, fields) {
    const body = new FormData();
    for (const [name, value] of fields) body.append(name, value);
    body.append("file", file, file.name);
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("X-CSRF-Token", form.elements.csrf.value);
    request.upload.addEventListener("progress", (event) => {
      if (!event.lengthComputable) return;
      const percent = Math.floor((100 * event.loaded) / event.total);
      row.bar.value = percent;
      row.bar.textContent = form.dataset.sending.replace("{percent}", String(percent));
    });
    request.addEventListener("load", () => {
      let told = {};
      try {
        told = JSON.parse(request.responseText);
      } catch {
        told = {};
      }
      if (request.status >= 200 && request.status < 300) {
        row.bar.remove();
        row.said.textContent = form.dataset.sent;
        document.body.dispatchEvent(new CustomEvent("sent"));
        setTimeout(() => row.item.remove(), 4000);
      } else {
        failed(row, told.detail || form.dataset.lost);
      }
    });
    request.addEventListener("error", () => failed(row, form.dataset.lost));
    request.addEventListener("loadend", () => {
      busy -= 1;
      next();
    });
    request.send(body);
  }

  /** Two files at a time: more would only share the same line. */
  function next() {
    while (busy < 2 && queue.length) {
      busy += 1;
      send(...queue.shift());
    }
  }

  function take(files) {
    const fields = [...new FormData(form)].filter(([name]) => name !== "file");
    for (const file of files) {
      const row = line(file);
      if (file.size > Number(form.dataset.most) * 1048576) failed(row, form.dataset.tooLarge);
      else queue.push([file, row, fields]);
    }
    next();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    take(input.files);
    input.value = "";
  });

  drop.querySelector(".drop-hint").hidden = false;
  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  drop.addEventListener("dragleave", (event) => {
    if (!drop.contains(event.relatedTarget)) drop.classList.remove("over");
  });
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    input.removeAttribute("aria-invalid");
    if (form.elements.collection.reportValidity()) take(event.dataTransfer.files);
  });
  window.addEventListener("beforeunload", (event) => {
    if (busy) event.preventDefault();
  });
});
