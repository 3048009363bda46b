// What served pages do beyond plain links. Nothing here is needed to read them.

// The local time of each time in UTC.
const localize = (root) => {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const local = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" });
    time.title = `${time.title.split("\n")[0]}\n${local}`;
  }
};
localize(document);

// Copy the whole of a shortened text.
document.addEventListener("click", async (event) => {
  const button = event.target.closest(".copy");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "copied";
  } catch {
    button.textContent = "not allowed";
  }
  setTimeout(() => { button.textContent = "copy"; }, 1500);
});

// Dragging over the timeline selects a period: each column links to its own, from `since` to `until`.
for (const chart of document.querySelectorAll(".plot .columns")) {
  const columns = [...chart.querySelectorAll("a[href]")];
  if (columns.length < 2) continue;
  const brush = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  brush.setAttribute("class", "brush");
  brush.setAttribute("y", "0");
  brush.setAttribute("height", "100%");
  chart.append(brush);
  const spanOf = (column) => new URL(column.getAttribute("href"), location.href).searchParams;
  const within = (left, right) => columns.filter((column) => {
    const box = column.getBoundingClientRect();
    const middle = box.left + box.width / 2;
    return middle >= left && middle <= right;
  });
  let from = null;
  let isDragged = false;
  const hint = document.createElement("p");
  hint.className = "small hint";
  hint.textContent = "Drag over the chart to select a period; Escape cancels. A column is a link.";
  chart.closest(".plot").after(hint);
  const clear = () => { from = null; brush.setAttribute("width", "0"); };
  chart.addEventListener("pointerdown", (event) => { from = event.clientX; isDragged = false; });
  chart.addEventListener("dragstart", (event) => event.preventDefault());
  chart.addEventListener("pointermove", (event) => {
    if (from === null) return;
    isDragged ||= Math.abs(event.clientX - from) > 4;
    const left = chart.getBoundingClientRect().left;
    brush.setAttribute("x", String(Math.min(from, event.clientX) - left));
    brush.setAttribute("width", String(Math.abs(event.clientX - from)));
  });
  addEventListener("pointerup", (event) => {
    if (from === null || !isDragged) { from = null; return; }
    const chosen = within(Math.min(from, event.clientX), Math.max(from, event.clientX));
    clear();
    if (!chosen.length) return;
    const target = new URL(chosen[0].getAttribute("href"), location.href);
    target.searchParams.set("until", spanOf(chosen.at(-1)).get("until"));
    location.assign(target);
  });
  chart.addEventListener("pointercancel", clear);
  chart.addEventListener("click", (event) => { if (isDragged) event.preventDefault(); }, true);
  addEventListener("keydown", (event) => { if (event.key === "Escape") clear(); });
}

// New sessions appear at the top; while paused they are counted. A stream begins with the newest sessions, so that none
// is missing that was stored between the page and its stream, or while it was not connected.
const live = document.querySelector("[data-live]");
if (live && window.EventSource) {
  const body = live.querySelector("tbody");
  const state = live.querySelector(".live-state");
  const pause = live.querySelector(".pause");
  const most = Math.max(body.rows.length, 14);
  const timeOf = (row) => Date.parse(row?.querySelector("time")?.dateTime) || 0;
  const newestAtLoad = timeOf(body.rows[0]);
  const seen = new Set([...body.rows].map((row) => row.dataset.session));
  const waiting = [];
  let isPaused = false;
  let shown = 0;
  const show = (row) => {
    body.querySelector(`tr[data-session="${CSS.escape(row.dataset.session)}"]`)?.remove();
    localize(row);
    body.prepend(row);
    while (body.rows.length > most) body.deleteRow(-1);
  };
  const label = () => {
    const more = waiting.filter((row) => row.classList.contains("new-row")).length;
    state.textContent = isPaused ? `Paused, ${more} new.` : shown ? `Live, ${shown} new.` : "Live.";
  };
  const receive = (event) => {
    const holder = document.createElement("template");
    holder.innerHTML = event.data;
    const row = holder.content.querySelector("tr");
    if (!row) return;
    if (!seen.has(row.dataset.session) && timeOf(row) >= newestAtLoad) {
      row.classList.add("new-row");
      shown += 1;
    }
    seen.add(row.dataset.session);
    if (isPaused) waiting.push(row); else show(row);
    label();
  };
  const connect = () => {
    const stream = new EventSource(live.dataset.live);
    stream.addEventListener("open", () => { pause.hidden = false; label(); });
    stream.addEventListener("session", receive);
    stream.addEventListener("error", () => {
      state.textContent = "Not connected; trying again.";
      if (stream.readyState === EventSource.CLOSED) setTimeout(connect, 30000);  // refused: too many readers
    });
  };
  connect();
  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    pause.textContent = isPaused ? "Show" : "Pause";
    if (!isPaused) for (const row of waiting.splice(0)) show(row);
    label();
  });
}
