// What the pages do beside being read: they hear of what is new, keep times true, and have keys. Without it everything can
// still be read and done.
"use strict";
(() => {
  const live = document.getElementById("live");
  const say = (on) => { live.textContent = on ? "live" : "not live"; live.className = "live " + (on ? "on" : "off"); };

  // Times: "3 min ago" is true for a minute.
  const ago = (s) => s < -172800 ? "in " + Math.floor(-s / 86400) + " days" : s < -3600 ? "in " + Math.floor(-s / 3600) + " h" :
    s < 0 ? "in " + Math.floor(-s / 60) + " min" : s < 10 ? "just now" : s < 60 ? Math.floor(s / 10) * 10 + " s ago" : s < 3600 ? Math.floor(s / 60) + " min ago" :
    s < 172800 ? Math.floor(s / 3600) + " h ago" : Math.floor(s / 86400) + " days ago";
  const times = () => {
    for (const t of document.querySelectorAll("time")) {
      const text = ago((Date.now() - Date.parse(t.dateTime)) / 1000);
      if (t.textContent !== text) t.textContent = text;
    }
  };
  setInterval(() => { if (!document.hidden) times(); }, 10000);

  // News: the stream tells that something is new, and the page is asked for again and changed where it differs. Nobody's
  // typing, open panel or selection is taken away: while there is one, the news waits.
  let seen = document.body.dataset.news, due = false;
  const occupied = () => {
    const e = document.activeElement;
    return document.querySelector("main .acts details[open]") || (e && e.closest("main") && e.matches("input"));
  };
  const renew = async () => {
    if (!due || document.hidden || occupied()) return;
    due = false;
    try {
      await htmx.ajax("GET", location.pathname + location.search, { target: "#main", select: "#main", swap: "outerMorph" });
      times();
      mark();
    } catch { due = true; }
  };
  let stream;
  const listen = () => {
    if (stream || document.hidden) return;
    stream = new EventSource("/api/v1/events");
    stream.addEventListener("version", (e) => {
      say(true);
      if (seen !== e.data) { due = true; renew(); }
      seen = e.data;
    });
    stream.addEventListener("looked", (e) => {
      const at = JSON.parse(e.data);
      for (const t of document.querySelectorAll("time[data-target]")) {
        const time = at[t.dataset.target];
        if (time) t.dateTime = t.title = time;
      }
      times();
    });
    stream.onerror = () => say(false);
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { if (stream) stream.close(); stream = undefined; return; }
    times(); listen(); renew();
  });
  document.addEventListener("focusout", () => setTimeout(renew, 200));
  setInterval(renew, 5000);
  document.addEventListener("htmx:after:request", (e) => {
    const text = e.detail && e.detail.ctx && e.detail.ctx.text;
    if (typeof text !== "string") return;
    // What is outside of main and tells of the fleet: the title, its icon, and the numbers in the bar.
    const head = new DOMParser().parseFromString(text.slice(0, text.indexOf("<main")), "text/html");
    if (!head.title) return;
    document.title = head.title;
    const icon = document.querySelector("link[rel=icon]"), links = document.querySelectorAll(".top nav a");
    icon.setAttribute("href", head.querySelector("link[rel=icon]").getAttribute("href"));
    head.querySelectorAll(".top nav a").forEach((a, i) => { if (links[i] && links[i].innerHTML !== a.innerHTML) links[i].innerHTML = a.innerHTML; });
  });

  // Keys.
  let at = -1, going = false;
  const items = () => [...document.querySelectorAll(".item, .c")];
  const mark = () => items().forEach((x, i) => x.classList.toggle("here", i === at));
  const move = (by) => {
    const all = items();
    if (!all.length) return;
    at = Math.max(0, Math.min(all.length - 1, at + by));
    mark();
    all[at].scrollIntoView({ block: "nearest" });
  };
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.matches("input, textarea, select")) {
      if (e.key === "Escape") e.target.blur();
      return;
    }
    const keys = document.getElementById("keys");
    if (going) {
      going = false;
      const to = { f: "/", d: "/drift", c: "/changes", r: "/runs", p: "/problems", t: "/targets", u: "/unmanaged" }[e.key];
      if (to) location.href = to;
      return;
    }
    switch (e.key) {
      case "/": { const q = document.getElementById("q"); if (q) { e.preventDefault(); q.focus(); q.select(); } break; }
      case "j": move(1); break;
      case "k": move(-1); break;
      case "g": going = true; setTimeout(() => { going = false; }, 1500); break;
      case "?": keys.open ? keys.close() : keys.showModal(); break;
      case "Enter": {
        const here = items()[at];
        if (!here || e.target.matches("a, button, summary")) break;
        const link = here.matches("a") ? here : here.querySelector("a.go, a");
        if (link) link.click();
      }
    }
  });
  say(false);
  listen();
  times();
})();
