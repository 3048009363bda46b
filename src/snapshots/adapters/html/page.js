"use strict";
(() => {
  const chartData = JSON.parse(document.getElementById("chart-data").textContent);
  const drawn = [];
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const ofType = (type) => color(`--${type.toLowerCase()}`) || color("--other");

  function draw(id, type, data, options) {
    const canvas = document.getElementById(id);
    if (!canvas) return;
    const axis = { ticks: { color: color("--soft") }, grid: { color: color("--line") }, beginAtZero: true };
    drawn.push(new Chart(canvas, {
      type,
      data,
      options: {
        animation: false,
        maintainAspectRatio: false,
        ...options,
        scales: { x: { ...axis, ...options.x }, y: { ...axis, ...options.y } },
        plugins: { legend: { display: Boolean(options.legend), labels: { color: color("--ink") } } },
      },
    }));
  }

  // Narrow charts show the ASN without the name of the network.
  function short(id, labels) {
    const canvas = document.getElementById(id);
    return canvas.parentElement.clientWidth < 460 ? labels.map((label) => label.replace(/^(AS\d+) .*/, "$1")) : labels;
  }

  const pale = (name) => (/^#[0-9a-f]{6}$/i.test(name) ? `${name}55` : color("--line"));

  // Sessions with every known fact as of the attack in full color, others pale.
  function bars(id, { labels, values, asof }, colors) {
    const others = Array.isArray(colors) ? colors.map(pale) : pale(colors);
    draw(id, "bar", {
      labels: short(id, labels),
      datasets: [
        { label: "as of the attack", data: asof, backgroundColor: colors },
        { label: "inferred or other", data: values.map((count, n) => count - asof[n]), backgroundColor: others },
      ],
    }, {
      legend: true,
      indexAxis: "y",
      y: { stacked: true, grid: { display: false }, ticks: { color: color("--ink"), autoSkip: false } },
      x: { stacked: true, ticks: { color: color("--soft"), precision: 0 } },
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
    }, { legend: true, x: { stacked: true, grid: { display: false } }, y: { stacked: true, ticks: { color: color("--soft"), precision: 0 } } });
    bars("countries", countries, color("--accent"));
    bars("networks", networks, color("--accent"));
    bars("types", types, types.labels.map(ofType));
    document.documentElement.dataset.drawn = String(drawn.length);
  }

  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
})();
