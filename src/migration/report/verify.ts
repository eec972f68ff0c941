/** Whether a stream is what it says: beyond what makes it unreadable, which the parser refuses. */

import { formatCounted } from "../../units.ts";
import { pagesIn, type Ram } from "../ram/ram.ts";
import { type Described, Describer } from "../stream/describer.ts";
import type { Block, Element } from "../stream/elements.ts";
import { hex } from "../stream/malformed.ts";

/** More say no more. */
const problemsMax = 20;

export interface Verified {
  readonly problems: readonly string[];
  /** What was looked at. */
  readonly checked: string;
}

export class Verifier {
  readonly #describer = new Describer((described) => this.#check(described));
  readonly #problems: string[] = [];
  readonly #blocks: Block[] = [];
  #sections = 0;
  #devices = 0;
  #isMultifd = false;
  #isPostcopy = false;
  #hasEnd = false;

  take(element: Element): void {
    this.#describer.take(element);
  }

  result(ram: Ram): Verified {
    this.#describer.end();
    this.#checkRam(ram);
    if (!this.#hasEnd) this.#problem("the stream has no end");
    const counts = [
      formatCounted(this.#sections, "section"),
      `${formatCounted(this.#devices, "device")} by the description`,
      formatCounted(ram.blocks.length, "RAM block"),
    ];
    return { problems: this.#problems, checked: counts.join(", ") };
  }

  #check({ element, fields, problem }: Described): void {
    const where = `at offset ${hex(element.offset)}`;
    const name = "name" in element ? ` ("${element.name}")` : "";
    if (problem !== undefined) this.#problem(`${where}${name}: ${problem}`);
    if (fields !== undefined) this.#devices++;
    if (element.type === "eof") this.#hasEnd = true;
    if (element.type === "undelimited")
      this.#problem(`${where}: ${element.length} bytes that cannot be told apart`);
    if (element.type === "trailing")
      this.#problem(`${where}: ${element.length} bytes behind the end`);
    if (element.type === "libvirt" && !element.isComplete)
      this.#problem(`${where}: libvirt has not finished it`);
    if (element.type === "command" && element.name.startsWith("postcopy")) this.#isPostcopy = true;
    if ("payload" in element) {
      this.#sections++;
      if (element.payload.kind === "ram") {
        this.#blocks.push(...element.payload.blocks);
        if (element.payload.flushes > 0) this.#isMultifd = true;
      }
    }
  }

  /** Every page is sent at least once; where other channels send them, nobody can tell. */
  #checkRam(ram: Ram): void {
    const { normal, xbzrle } = ram.counts;
    if (this.#isMultifd || this.#isPostcopy || normal + xbzrle === 0) return;
    for (const { name, size, mapped, guestAddress } of this.#blocks) {
      if (mapped !== undefined || guestAddress !== undefined) continue; // holes, and what is shared
      const counts = ram.countsOf(name);
      const sent = pagesIn(counts) - counts.again;
      const pages = Math.ceil(size / ram.pageSize);
      if (sent > 0 && sent < pages)
        this.#problem(`${pages - sent} of ${pages} pages of "${name}" are never sent`);
    }
  }

  #problem(text: string): void {
    if (this.#problems.length < problemsMax) this.#problems.push(text);
  }
}
