"use strict";
(() => {
  const told = JSON.parse(document.getElementById("told").textContent);
  const drawn = [];
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const ofType = (type) => colour(`--${type.toLowerCase()}`) || colour("--other");

  function draw(id, type, data, options) {
    const canvas = document.getElementById(id);
    if (!canvas) return;
    const axis = { ticks: { color: colour("--soft") }, grid: { color: colour("--line") }, beginAtZero: true };
    drawn.push(new Chart(canvas, {
      type,
      data,
      options: {
        animation: false,
        maintainAspectRatio: false,
        ...options,
        scales: { x: { ...axis, ...options.x }, y: { ...axis, ...options.y } },
        plugins: { legend: { display: Boolean(options.legend), labels: { color: colour("--ink") } } },
      },
    }));
  }

  // Where there is no room for the name of a network its number must do.
  function short(id, labels) {
    const canvas = document.getElementById(id);
    return canvas.parentElement.clientWidth < 460 ? labels.map((label) => label.replace(/^(AS\d+) .*/, "$1")) : labels;
  }

  function bars(id, { labels, values }, colours) {
    draw(id, "bar", { labels: short(id, labels), datasets: [{ label: "sessions", data: values, backgroundColor: colours }] }, {
      indexAxis: "y",
      y: { grid: { display: false }, ticks: { color: colour("--ink"), autoSkip: false } },
      x: { ticks: { color: colour("--soft"), precision: 0 } },
    });
  }

  function drawAll() {
    drawn.splice(0).forEach((chart) => chart.destroy());
    const { timeline, countries, networks, types } = told;
    draw("timeline", "bar", {
      labels: timeline.labels,
      datasets: Object.entries(timeline.types).map(([type, data]) => (
        { label: type, data, backgroundColor: ofType(type), stack: "all" }
      )),
    }, { legend: true, x: { stacked: true, grid: { display: false } }, y: { stacked: true, ticks: { color: colour("--soft"), precision: 0 } } });
    bars("countries", countries, colour("--accent"));
    bars("networks", networks, colour("--accent"));
    bars("types", types, types.labels.map(ofType));
    document.documentElement.dataset.drawn = String(drawn.length);
  }

  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
})();
