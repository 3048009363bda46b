"use strict";
(() => {
  const chartData = JSON.parse(document.getElementById("chart-data").textContent);
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

  // Narrow charts show the ASN without the name of the network.
  function short(id, labels) {
    const canvas = document.getElementById(id);
    return canvas.parentElement.clientWidth < 460 ? labels.map((label) => label.replace(/^(AS\d+) .*/, "$1")) : labels;
  }

  const pale = (name) => (/^#[0-9a-f]{6}$/i.test(name) ? `${name}55` : colour("--line"));

  // Sessions with every known fact as of the attack in full color, others pale.
  function bars(id, { labels, values, asof }, colours) {
    const others = Array.isArray(colours) ? colours.map(pale) : pale(colours);
    draw(id, "bar", {
      labels: short(id, labels),
      datasets: [
        { label: "as of the attack", data: asof, backgroundColor: colours },
        { label: "inferred or other", data: values.map((count, n) => count - asof[n]), backgroundColor: others },
      ],
    }, {
      legend: true,
      indexAxis: "y",
      y: { stacked: true, grid: { display: false }, ticks: { color: colour("--ink"), autoSkip: false } },
      x: { stacked: true, ticks: { color: colour("--soft"), precision: 0 } },
    });
  }

  function drawAll() {
    drawn.splice(0).forEach((chart) => chart.destroy());
    const { timeline, countries, networks, types } = chartData;
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
