/** Draws the plots of the page that html.ts makes. */

const transports = JSON.parse(document.getElementById("plots").textContent);
for (const block of document.querySelectorAll(".plots")) {
  drawTransport(block, transports[block.dataset.index]);
}

/** The plots of a transport share a legend, and the size that is pointed at. */
function drawTransport(block, transport) {
  block.hidden = false;
  const buttons = [...block.querySelectorAll(".legend button")];
  const charts = transport.plots.map((plot, index) => {
    const container = block.querySelectorAll(".plot")[index];
    return drawPlot(container, { transport, plot, buttons, syncKey: block.dataset.index });
  });
  for (const [line, button] of buttons.entries()) {
    button.addEventListener("click", () => {
      const show = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", show);
      for (const chart of charts) showLine(chart, line, show);
    });
  }
}

/** Series: x, then max and min of each line, under the medians, which come last. */
function drawPlot(container, { transport, plot, buttons, syncKey }) {
  const { sizes, lines } = transport;
  const tip = makeTip(container);
  const options = {
    ...sizeOf(container),
    legend: { show: false },
    padding: [12, 16, 0, 0],
    cursor: {
      y: false,
      drag: { x: false, y: false },
      points: { show: false },
      sync: { key: syncKey },
      move: snapToSize,
    },
    scales: {
      x: { time: false, distr: 3, log: 2, range: (_chart, min, max) => [min / 1.3, max * 1.3] },
      y: { range: (_chart, _min, max) => [0, Math.max(max, plot.baseline) * 1.08 || 1] },
    },
    axes: [sizeAxis(transport), valueAxis()],
    series: [
      {},
      ...lines.flatMap(() => [edge(), edge()]),
      ...lines.map((line, index) => median(line, plot.lines[index])),
    ],
    bands: lines.map(({ color }, line) => ({
      series: [1 + 2 * line, 2 + 2 * line],
      // The colours are six digits, so that two more are the opacity.
      fill: () => `${cssColor(`--mode-${color}`)}22`,
    })),
    hooks: {
      drawAxes: [(chart) => drawBaseline(chart, plot.baseline)],
      setCursor: [(chart) => updateTip(tip, chart, { transport, plot, buttons })],
    },
  };
  const data = [
    sizes,
    ...plot.lines.flatMap(({ max, min }) => [max, min]),
    ...plot.lines.map((points) => points.median),
  ];
  const chart = new uPlot(options, data, container);
  keepUpToDate(chart, container);
  return chart;
}

function showLine(chart, line, show) {
  const lineCount = (chart.series.length - 1) / 3;
  chart.batch(() => {
    for (const series of [1 + 2 * line, 2 + 2 * line, 1 + 2 * lineCount + line]) {
      chart.setSeries(series, { show });
    }
  });
}

function edge() {
  return { width: 0, points: { show: false } };
}

function median({ color, shape, dash }, points) {
  const stroke = () => cssColor(`--mode-${color}`);
  return {
    stroke,
    width: 2,
    dash: dash.map((length) => length * devicePixelRatio),
    points: { show: true, fill: stroke, paths: (chart) => pointPaths(chart, shape, points) },
  };
}

/** The shapes; and where a point has no neighbour, and so no band, its spread as a bar. */
function pointPaths(chart, shape, { median, min, max }) {
  const fill = new Path2D();
  const stroke = new Path2D();
  const unit = 4 * devicePixelRatio;
  const symbol = new Path2D(shape);
  for (const [index, value] of median.entries()) {
    if (value === null) continue;
    const x = chart.valToPos(chart.data[0][index], "x", true);
    const y = chart.valToPos(value, "y", true);
    fill.addPath(symbol, new DOMMatrix([unit, 0, 0, unit, x, y]));
    if ((median[index - 1] ?? median[index + 1] ?? null) !== null) continue;
    stroke.moveTo(x, chart.valToPos(min[index], "y", true));
    stroke.lineTo(x, chart.valToPos(max[index], "y", true));
  }
  return { fill, stroke };
}

function sizeAxis({ sizes, sizeTexts }) {
  return {
    ...axisStyle(),
    size: 34,
    splits: (chart) => sizes.filter(everyOther(chart.width, sizes.length)),
    values: (_chart, splits) => splits.map((size) => sizeTexts[sizes.indexOf(size)]),
    grid: { show: false },
  };
}

/** Leaves out labels, from the largest size down, where there is no room for all. */
function everyOther(width, count) {
  const step = Math.ceil(count / ((width - 60) / 62));
  return (_, index) => (count - 1 - index) % step === 0;
}

function valueAxis() {
  return {
    ...axisStyle(),
    size: 48,
    values: (_chart, splits) => splits.map(String),
    grid: { stroke: () => cssColor("--grid"), width: 1 },
    ticks: { show: false },
  };
}

function axisStyle() {
  return {
    stroke: () => cssColor("--soft"),
    font: "12px system-ui, sans-serif",
    ticks: { stroke: () => cssColor("--grid"), width: 1, size: 5 },
  };
}

function drawBaseline(chart, value) {
  if (value === null) return;
  const { ctx, bbox } = chart;
  const y = Math.round(chart.valToPos(value, "y", true)) + 0.5;
  ctx.save();
  ctx.strokeStyle = cssColor("--soft");
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([devicePixelRatio, 3 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.restore();
}

/** The cursor stands on a size that was measured, not between two. */
function snapToSize(chart, left, top) {
  if (left < 0) return [left, top];
  return [chart.valToPos(chart.data[0][chart.posToIdx(left)], "x"), top];
}

function makeTip(container) {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  container.append(tip);
  return tip;
}

/** The values at the size that is pointed at, in the order in which they lie in the plot. */
function updateTip(tip, chart, { transport, plot, buttons }) {
  const { idx, left } = chart.cursor;
  const shown = transport.lines
    .map((line, index) => ({ ...line, ...plot.lines[index], button: buttons[index] }))
    .filter(({ median, button }) => median[idx] != null && isPressed(button))
    .sort((a, b) => b.median[idx] - a.median[idx]);
  tip.hidden = shown.length === 0;
  if (tip.hidden) return;
  tip.replaceChildren(
    element("h4", transport.sizeTexts[idx]),
    ...shown.flatMap(({ name, color, texts, button }) => {
      const swatch = button.querySelector("svg").cloneNode(true);
      swatch.classList.add(`mode-${color}`);
      return [swatch, element("span", name), element("output", texts[idx])];
    }),
  );
  place(tip, chart, left);
}

/** Beside the cursor, on the side where there is more room. */
function place(tip, chart, left) {
  const start = chart.over.offsetLeft + left;
  const room = chart.width - tip.offsetWidth;
  const wanted = left < chart.over.offsetWidth / 2 ? start + 12 : start - 12 - tip.offsetWidth;
  tip.style.left = `${Math.max(0, Math.min(wanted, room))}px`;
}

function isPressed(button) {
  return button.getAttribute("aria-pressed") === "true";
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

/** To the width that there is, the colours that are asked for, and to paper. */
function keepUpToDate(chart, container) {
  const resize = () => chart.setSize(sizeOf(container));
  const redraw = () => chart.redraw();
  new ResizeObserver(resize).observe(container);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  for (const [event, isPrinting] of [
    ["beforeprint", true],
    ["afterprint", false],
  ]) {
    addEventListener(event, () => {
      document.documentElement.classList.toggle("printing", isPrinting);
      resize();
      redraw();
    });
  }
}

function sizeOf(container) {
  const width = container.clientWidth;
  return { width, height: Math.round(Math.min(Math.max(width * 0.6, 220), 320)) };
}

function cssColor(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
