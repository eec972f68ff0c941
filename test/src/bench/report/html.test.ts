/** The page: one file, in which all text stays text. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { toHtml } from "../../../../src/bench/report/html.ts";
import { html } from "../../../../src/bench/report/html-template.ts";
import type { MeasuredCell } from "../../../../src/bench/result.ts";
import { sampleCell, sampleResult, verdicts } from "./sample.ts";

test("asks nobody for anything", async () => {
  const page = await toHtml(sampleResult(), verdicts);
  expect(page).toMatch(/^<!doctype html>/);
  expect(page).toMatch(
    /Content-Security-Policy" content="default-src &#39;none&#39;; script-src &#39;sha256-/,
  );
  expect(page).not.toMatch(/(src|href)="(?!data:)/);
  expect(page).not.toMatch(/@import|url\((?!data:)/);
  expect(page).toMatch(/uPlot/);
});

test("has the table of each transport, the verdicts, and what could not run", async () => {
  const page = await toHtml(sampleResult(), verdicts);
  expect(page.match(/<table>/g)?.length).toBe(3);
  for (const verdict of verdicts) expect(page).toContain(`<li>${verdict}</li>`);
  expect(page).toMatch(/vsock<\/h2>.*modprobe vsock_loopback/s);
});

test("no text of the result becomes markup, or ends the script that it is data of", async () => {
  const hostile = fc.oneof(
    fc.string(),
    fc.constantFrom(
      "</script><script>alert(1)</script>",
      "<!--",
      '"><img src=x onerror=y>',
      "&amp;",
    ),
  );
  await fc.assert(
    fc.asyncProperty(hostile, async (text) => {
      const error = { code: "UNSUPPORTED", message: text } as const;
      const cells = [
        sampleCell({ transport: text, size: 4096 }),
        { ...sampleCell({ transport: text, mode: "splice", size: 4096 }, { runs: 0 }), error },
      ];
      const { machine } = sampleResult();
      const result = sampleResult({ cells, machine: { ...machine, kernel: text } });
      const page = await toHtml(result, [text]);
      const plain = await toHtml(sampleResult({ cells: cells.map(renamed) }), ["verdict"]);
      expect(tagsOf(page)).toEqual(tagsOf(plain));
    }),
    { numRuns: 40 },
  );
});

function renamed(cell: MeasuredCell): MeasuredCell {
  const error = { code: "UNSUPPORTED", message: "message" } as const;
  return { ...cell, transport: "tcp", ...(cell.error && { error }) };
}

/** Every tag, without what its attributes say. */
function tagsOf(page: string): string[] {
  return [...page.matchAll(/<(\/?[a-z!][a-z0-9]*)/gi)].map(([, name = ""]) => name);
}

test("the template escapes what is put into it, but not what is HTML already", () => {
  const inner = html`<b>${"<&\"'>"}</b>`;
  expect(html`<p>${inner}${[inner]}${1}</p>`.text).toBe(`<p>${inner.text}${inner.text}1</p>`);
  expect(inner.text).toBe("<b>&#60;&#38;&#34;&#39;&#62;</b>");
});
