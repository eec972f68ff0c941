/** A benchmark as one HTML page that asks nobody for anything: plots, tables, verdicts. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { BenchResult, MeasuredCell } from "../result.ts";
import { byTransport, failuresOf } from "./cells.ts";
import { type Facts, factsOf } from "./facts.ts";
import { Html, html } from "./html-template.ts";
import { type Line, type Plot, plotsOf, type TransportPlots } from "./plots.ts";
import { type Table, tableOf } from "./table.ts";
import { failuresTitle, interruptedText } from "./words.ts";

export async function toHtml(result: BenchResult, verdicts: readonly string[]): Promise<string> {
  const assets = await readAssets();
  const plots = plotsOf(result);
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${contentPolicy(assets)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>zc bench, ${result.date}</title>
<link rel="icon" href="data:,">
<style>${new Html(assets.style)}</style>
</head>
<body>
<main>
${header(result, verdicts)}
${Array.from(byTransport(result), ([transport, cells]) => section(transport, cells, plots))}
${footer(result)}
</main>
<script type="application/json" id="plots">${new Html(toScriptJson(plots))}</script>
<script>${new Html(assets.uplot)}</script>
<script type="module">${new Html(assets.script)}</script>
</body>
</html>
`;
  return page.text;
}

interface Assets {
  readonly style: string;
  /** A classic script: it makes a global variable. */
  readonly uplot: string;
  readonly script: string;
}

async function readAssets(): Promise<Assets> {
  const read = (name: string) => readFile(new URL(import.meta.resolve(name)), "utf8");
  const [licence, uplotScript, uplotStyle, script, style] = await Promise.all([
    read("uplot/LICENSE"),
    read("uplot/dist/uPlot.iife.min.js"),
    read("uplot/dist/uPlot.min.css"),
    read("./page.js"),
    read("./page.css"),
  ]);
  return {
    style: `${uplotStyle}\n${style}`,
    uplot: `/*! uPlot\n${licence}*/\n${uplotScript}`,
    script,
  };
}

/** Nothing is loaded, and nothing runs but what was put in here. */
function contentPolicy({ style, uplot, script }: Assets): string {
  return [
    "default-src 'none'",
    `script-src ${hashSource(uplot)} ${hashSource(script)}`,
    `style-src ${hashSource(style)}`,
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
}

function hashSource(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

/** JSON that cannot end the script element that it is in. */
function toScriptJson(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}

function header({ version, date, isComplete }: BenchResult, verdicts: readonly string[]): Html {
  return html`<header>
<h1>zc bench</h1>
<p class="when">${date}, zc ${version}</p>
${isComplete ? "" : html`<p class="notice">${interruptedText}</p>`}
${list("verdicts", verdicts)}
</header>`;
}

function section(
  transport: string,
  cells: readonly MeasuredCell[],
  plots: readonly TransportPlots[],
): Html {
  const failures = failuresOf(cells);
  const index = plots.findIndex((plot) => plot.transport === transport);
  const drawn = plots[index];
  return html`<section>
<h2>${transport}</h2>
${drawn ? plotsBlock(drawn, index) : ""}
${table(transport, tableOf(cells))}
${failures.length > 0 ? html`<h3>${failuresTitle}</h3>` : ""}
${list("failures", failures)}
</section>
`;
}

/** Hidden until the script has drawn it. */
function plotsBlock({ lines, plots }: TransportPlots, index: number): Html {
  return html`<div class="plots" data-index="${index}" hidden>
<ul class="legend" aria-label="Lines">${lines.map(legendEntry)}</ul>
<div class="figures">${plots.map(figure)}</div>
</div>`;
}

function legendEntry({ name, color, shape, dash }: Line): Html {
  return html`
<li><button type="button" aria-pressed="true" class="mode-${color}"><svg viewBox="-16 -6 32 12" aria-hidden="true"><path class="line" d="M-16 0H16" stroke-dasharray="${dash.join(" ")}"/><path class="shape" d="${shape}" transform="scale(4)"/></svg>${name}</button></li>`;
}

function figure({ title, unit }: Plot): Html {
  return html`
<figure>
<figcaption>${title} <span>${unit}</span></figcaption>
<div class="plot" role="img" aria-label="${title} by size; the table below has the same numbers"></div>
</figure>`;
}

function table(transport: string, { columns, rows }: Table): Html {
  if (rows.length === 0) return html``;
  const className = (column: number) => (columns[column]?.isNumber ? "number" : "word");
  return html`<div class="scroll" role="region" aria-label="${transport}, all cells" tabindex="0">
<table>
<thead><tr>${columns.map(({ name }, i) => html`<th class="${className(i)}">${name}</th>`)}</tr></thead>
<tbody>${rows.map((row) => {
    const cells = row.map((text, i) => html`<td class="${className(i)}">${text}</td>`);
    return html`\n<tr>${cells}</tr>`;
  })}
</tbody>
</table>
</div>`;
}

function footer(result: BenchResult): Html {
  return html`<footer>${factsOf(result).map(factsBlock)}</footer>`;
}

function factsBlock({ title, facts }: Facts): Html {
  return html`
<section>
<h2>${title}</h2>
<dl>${facts.map(([name, value]) => html`\n<div><dt>${name}</dt><dd>${value}</dd></div>`)}
</dl>
</section>`;
}

function list(className: string, items: readonly string[]): Html {
  if (items.length === 0) return html``;
  return html`<ul class="${className}">${items.map((item) => html`\n<li>${item}</li>`)}
</ul>`;
}
