/** Colours, for terminals, where nobody said no (https://no-color.org). */
import { isTerminal } from "./print.ts";

export type Paint = (color: Color, text: string) => string;
export type Color = keyof typeof codes;

const codes = { red: 31, green: 32, yellow: 33, bold: 1 } as const;

/** For text on this stream; `wanted` is false after `--no-color`. */
export function painter(stream: "result" | "note", wanted: boolean): Paint {
  const on = wanted && !process.env["NO_COLOR"] && isTerminal[stream]();
  return (color, text) => (on ? `\u001b[${codes[color]}m${text}\u001b[0m` : text);
}
