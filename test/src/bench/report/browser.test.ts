/** The page in a real browser: plots that are drawn, that answer, and that fit where they are. */
import { writeFileSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { toHtml } from "../../../../src/bench/report/html.ts";
import { isAbsent } from "../../../peers/installed.ts";
import { scratch } from "../../../support/scratch.ts";
import { sampleResult, verdicts } from "./sample.ts";

const program = "chromium";
const phone = { width: 360, height: 740 };
const desktop = { width: 1280, height: 900 };

describe.skipIf(isAbsent(program))("in chromium", () => {
  const folder = scratch();
  const file = folder.file("bench.html");
  let browser: Browser;
  let page: Page;
  let complaints: string[];

  beforeAll(async () => {
    writeFileSync(file, await toHtml(sampleResult(), verdicts));
    const executablePath = Bun.which(program) ?? program;
    browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  });

  afterAll(async () => {
    await browser?.close();
    folder[Symbol.dispose]();
  });

  beforeEach(async () => {
    complaints = [];
    page = await browser.newPage({ viewport: desktop, colorScheme: "light" });
    page.on("console", (message) => complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("request", (request) => {
      if (!request.url().startsWith("data:")) complaints.push(request.url());
    });
    await page.goto(`file://${file}`);
    expect(complaints).toEqual([`file://${file}`]);
  });

  afterEach(async () => {
    await page?.close();
  });

  test("both plots of each transport that ran are drawn", async () => {
    const canvases = page.locator("canvas");
    expect(await canvases.count()).toBe(2 * 3);
    for (const canvas of await canvases.all()) expect(await colorsIn(canvas)).toBeGreaterThan(3);
  });

  test("nothing but itself is asked for, and nothing goes wrong, all the way down", async () => {
    await page.mouse.wheel(0, 10_000);
    await page.locator("footer").scrollIntoViewIfNeeded();
    expect(complaints).toEqual([`file://${file}`]);
  });

  test("pointing at a plot tells the values of all lines at that size", async () => {
    const plot = page.locator(".plot .u-over").first();
    await plot.hover({ position: await middleOf(plot) });
    const tip = page.locator(".tip").first();
    await expect.poll(() => tip.isVisible()).toBe(true);
    expect(await tip.locator("h4").innerText()).toMatch(/^\d+ KiB$/);
    expect(await tip.locator("output").count()).toBe(5);
    expect(await tip.innerText()).toMatch(/sendfile → splice\s+[\d.]+ \([\d.]+ to [\d.]+\)/);
  });

  test("a line's name in the legend hides it, and shows it again", async () => {
    const button = page.getByRole("button", { name: "sendfile → splice" });
    const canvas = page.locator("canvas").first();
    const before = await pixelsOf(canvas);
    await button.click();
    expect(await button.getAttribute("aria-pressed")).toBe("false");
    await expect.poll(() => pixelsOf(canvas)).not.toBe(before);
    await page.mouse.move(0, 0);
    await button.click();
    await page.mouse.move(0, 0);
    await expect.poll(() => pixelsOf(canvas)).toBe(before);
  });

  test("a dark scheme has a dark page, and plots of other colours", async () => {
    const canvas = page.locator("canvas").first();
    const light = { page: await brightnessOf(page), canvas: await pixelsOf(canvas) };
    await page.emulateMedia({ colorScheme: "dark" });
    expect(light.page).toBeGreaterThan(200);
    expect(await brightnessOf(page)).toBeLessThan(60);
    await expect.poll(() => pixelsOf(canvas)).not.toBe(light.canvas);
  });

  test("on a phone nothing is wider than the screen but tables, which scroll by themselves", async () => {
    await page.setViewportSize(phone);
    await expect.poll(() => widthOf(page, "canvas")).toBeLessThanOrEqual(phone.width);
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(phone.width);
    const table = page.locator(".scroll").first();
    expect(await table.evaluate((element) => element.scrollWidth > element.clientWidth)).toBe(true);
  });

  test("on paper it is light, and no plot is cut in two", async () => {
    await page.emulateMedia({ colorScheme: "dark", media: "print" });
    expect(await brightnessOf(page)).toBeGreaterThan(200);
    const pdf = await page.pdf({ format: "A4" });
    expect(pdf.subarray(0, 5).toString()).toBe("%PDF-");
    const cuts: string[] = await page.evaluate(
      "[...document.querySelectorAll('figure')].map((each) => getComputedStyle(each).breakInside)",
    );
    expect(new Set(cuts)).toEqual(new Set(["avoid"]));
  });
});

type Locator = ReturnType<Page["locator"]>;

/** What is used here of the DOM's HTMLCanvasElement. */
interface Canvas {
  readonly width: number;
  readonly height: number;
  toDataURL(): string;
  getContext(kind: "2d"): {
    getImageData(
      x: number,
      y: number,
      width: number,
      height: number,
    ): {
      readonly data: Uint8ClampedArray<ArrayBuffer>;
    };
  };
}

/** How many colours there are in what was drawn. */
function colorsIn(canvas: Locator): Promise<number> {
  return canvas.evaluate((element) => {
    const drawn = element as unknown as Canvas;
    const { data } = drawn.getContext("2d").getImageData(0, 0, drawn.width, drawn.height);
    return new Set(new Uint32Array(data.buffer)).size;
  });
}

function pixelsOf(canvas: Locator): Promise<string> {
  return canvas.evaluate((element) => (element as unknown as Canvas).toDataURL());
}

async function middleOf(locator: Locator): Promise<{ x: number; y: number }> {
  const box = await locator.boundingBox();
  return { x: (box?.width ?? 0) / 2, y: (box?.height ?? 0) / 2 };
}

/** Of the page's background, 0 to 255. */
async function brightnessOf(page: Page): Promise<number> {
  const color: string = await page.evaluate("getComputedStyle(document.body).backgroundColor");
  const [red = 0, green = 0, blue = 0] = (color.match(/\d+/g) ?? []).map(Number);
  return (red + green + blue) / 3;
}

async function widthOf(page: Page, selector: string): Promise<number> {
  return (await page.locator(selector).first().boundingBox())?.width ?? Number.NaN;
}
