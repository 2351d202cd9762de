// The page of a game day. Everything works without this script: it sends the same
// forms without a new page, and puts in place what the stream brings.
"use strict";
(() => {
  const door = document.querySelector("form.door");
  if (door) { // the token stands behind # in the address, which no server and no log sees
    if (location.hash.length > 1) {
      door.elements.token.value = location.hash.slice(1);
      history.replaceState(null, "", location.pathname);
      door.elements.name.focus();
    }
    return;
  }

  const toast = document.getElementById("toast");
  let hiding;
  const say = (text, stays) => {
    toast.textContent = text;
    toast.hidden = !text;
    clearTimeout(hiding);
    if (!stays) hiding = setTimeout(() => { toast.hidden = true; }, 8000);
  };

  // Forms.
  document.addEventListener("submit", async event => {
    const form = event.target;
    if (form.dataset.page) return;
    event.preventDefault();
    const body = new URLSearchParams(new FormData(form, event.submitter)), button = event.submitter;
    if (button) button.disabled = true;
    try {
      const answer = await fetch(form.getAttribute("action"), {method: "POST", body, headers: {"X-Stormctl-Script": "1"}});
      if (answer.ok) {
        say("");
        if (form.dataset.clear) form.reset();
      } else {
        say(await answer.text());
      }
    } catch {
      say("This could not be sent: the game day cannot be reached.");
    }
    if (button) button.disabled = false;
  });

  // Parts. One that somebody fills in, or is about to click on, is put in place after that.
  const waiting = new Map();
  let pressed = null;
  const busy = part => {
    const at = document.activeElement;
    return part.contains(pressed) || part.contains(at) && /^(INPUT|SELECT)$/.test(at.tagName);
  };
  const place = (name, html) => {
    const part = document.getElementById(name);
    if (busy(part)) {
      waiting.set(name, html);
      return;
    }
    waiting.delete(name);
    if (name === "charts") return draw(part, html);
    const open = [...part.querySelectorAll("details")].map(d => d.open);
    part.innerHTML = html;
    part.querySelectorAll("details").forEach((d, i) => { if (open[i]) d.open = true; });
    tick();
  };
  const draw = (part, html) => {
    const made = document.createElement("template");
    made.innerHTML = html;
    const charts = made.content.querySelector("script");
    if (!charts) return;
    charts.remove();
    const names = of => [...of.querySelectorAll("figure")].map(f => f.id).join(" ");
    if (!part.querySelector(".live") || names(part) !== names(made.content)) part.replaceChildren(made.content);
    drawCharts(JSON.parse(charts.textContent));
  };
  const settle = () => setTimeout(() => { for (const [name, html] of [...waiting]) place(name, html); }, 50);
  document.addEventListener("pointerdown", event => { pressed = event.target; });
  for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => setTimeout(() => { pressed = null; settle(); }, 50));
  document.addEventListener("focusout", settle);

  // The clock goes on between what the stream brings.
  const clock = s => {
    const two = n => String(n).padStart(2, "0"), t = Math.max(0, Math.floor(s));
    return (t >= 3600 ? Math.floor(t / 3600) + ":" : "") + two(Math.floor(t / 60) % 60) + ":" + two(t % 60);
  };
  let shown = null, base = 0, since = 0;
  const tick = () => {
    const face = document.querySelector(".clock");
    if (!face) return;
    if (face !== shown) [shown, base, since] = [face, Number(face.dataset.seconds), performance.now()];
    const now = face.dataset.running ? base + (performance.now() - since) / 1000 : base;
    if (face.dataset.running) face.textContent = clock(now);
    for (const e of document.querySelectorAll("[data-until]")) {
      const left = Math.max(0, Number(e.dataset.until) - now);
      if (e.tagName === "PROGRESS") e.value = left; else e.textContent = clock(Math.ceil(left));
    }
  };
  tick();
  setInterval(tick, 250);

  // The stream. A browser opens it again by itself, behind the last line that it has.
  let last = Number(document.body.dataset.last), lost = false, over = false;
  const feed = document.getElementById("feed");
  const open = () => {
    const stream = new EventSource("/events?after=" + last);
    stream.onopen = () => {
      if (lost) say("");
      lost = false;
    };
    stream.onerror = () => {
      if (over) return;
      lost = true;
      say("The connection is lost; trying again.", true);
      if (stream.readyState === EventSource.CLOSED) setTimeout(open, 5000);
    };
    for (const name of ["status", "force", "armed", "hypothesis", "charts", "people", "checklist", "marks", "outcome"]) {
      stream.addEventListener(name, event => place(name, JSON.parse(event.data)));
    }
    stream.addEventListener("line", event => {
      const id = Number(event.lastEventId);
      if (id > 0 && id <= last) return;
      last = Math.max(last, id);
      feed.insertAdjacentHTML("afterbegin", JSON.parse(event.data));
      while (feed.children.length > 1000) feed.lastElementChild.remove();
    });
    stream.addEventListener("reload", () => location.reload());
    stream.addEventListener("end", () => {
      over = true;
      stream.close();
      say("The game day is over. This page stays as it is.", true);
    });
  };
  open();

  // Who looks is there: faults are healed when nobody is who could heal them.
  setInterval(() => { if (!over) fetch("/here", {method: "POST", headers: {"X-Stormctl-Script": "1"}}).catch(() => {}); }, 10000);
})();
