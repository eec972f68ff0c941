/** A message as a line for a person, and as JSON; nothing that a peer sends makes either fail. Pure. */
import { errnoName } from "../../errors.ts";
import { commandName, type Side } from "./commands.ts";
import type { MessageJson } from "./describe.schema.ts";
import { type Fields, fieldsOf } from "./fields.ts";
import type { Header } from "./header.ts";
import { Malformed } from "./malformed.ts";

export interface Message {
  readonly from: Side;
  readonly header: Header;
  /** What is behind the header; all of it, or what there is. */
  readonly payload: Uint8Array;
  /** How many file descriptors came with it. */
  readonly fds: number;
}

/** Bytes of data that are shown. */
const bytesMax = 32;
/** Elements of a list, in a line. */
const listMax = 8;
/** Of a name of a peer's, in a line. */
const nameMax = 40;
/** What a reply repeats of its command, and its line does not. */
const repeated = ["region", "addr", "offset"];
const repeatingCommands = new Set(["REGION_READ", "REGION_WRITE", "DMA_READ", "DMA_WRITE"]);

/** "> 12 REGION_READ region 7 offset 0x30 count 4"; ">" is what the client sends. */
export function describeMessage(message: Message): string {
  const { from, header, fds } = message;
  const arrow = from === "client" ? ">" : "<";
  const name = commandName(header.command) ?? `command ${header.command}`;
  const descriptors = fds === 0 ? "" : `, ${fds} ${fds === 1 ? "fd" : "fds"}`;
  const posted = header.noReply ? ", no reply" : "";
  const said = contentLine(message);
  return `${arrow} ${header.id} ${name}${said && ` ${said}`}${descriptors}${posted}`;
}

/** describe.schema.ts tells what is in it. */
export function messageJson(message: Message): MessageJson {
  const { from, header, payload, fds } = message;
  const { id, type, command, size, errno, noReply } = header;
  const common = { from, id, type, command: commandName(command) ?? command, size, fds };
  const head = { ...common, ...(noReply && { noReply }) };
  if (hasFailed(header)) return { ...head, error: { errno, name: errorName(errno) } };
  const { fields, problem } = contentOf(message);
  if (problem === undefined) return { ...head, fields: plain(fields) } as MessageJson;
  const { offset, expected, found } = problem;
  return { ...head, malformed: { offset, expected, found }, payload: bytesJson(payload) };
}

type Content =
  | { readonly fields: Fields; readonly problem?: undefined }
  | { readonly fields?: undefined; readonly problem: Malformed };

function contentOf({ header, payload }: Message): Content {
  const name = commandName(header.command);
  if (name === undefined) return { fields: payload.length === 0 ? {} : { data: payload } };
  try {
    return { fields: fieldsOf(name, header.type, payload) };
  } catch (error) {
    if (error instanceof Malformed) return { problem: error };
    throw error;
  }
}

function contentLine(message: Message): string {
  const { header, payload } = message;
  if (hasFailed(header)) return errorName(header.errno);
  const { fields, problem } = contentOf(message);
  if (problem !== undefined) return `malformed: ${problem.reason}: ${words(payload)}`;
  const isReply = header.type === "reply";
  const isRepeated = isReply && repeatingCommands.has(commandName(header.command) ?? "");
  const news = Object.entries(fields).filter(([key]) => !isRepeated || !repeated.includes(key));
  return isReply && news.length === 0 ? "ok" : fieldWords(Object.fromEntries(news));
}

/** Of a command the flag means nothing. */
function hasFailed({ type, isError }: Header): boolean {
  return type === "reply" && isError;
}

/** 0 is allowed, and tells nothing. */
function errorName(errno: number): string {
  return errno === 0 ? "error" : errnoName(errno);
}

/** "offset 0x30 count 4"; data have no name. */
function fieldWords(fields: Fields): string {
  return Object.entries(fields)
    .map(([key, value]) => (key === "data" ? words(value) : `${key} ${valueWords(key, value)}`))
    .join(" ");
}

function valueWords(key: string, value: unknown): string {
  if (isFlags(key) && Array.isArray(value)) return value.join("|") || "0";
  if (key === "count") return `${value}`;
  return words(value);
}

function isFlags(key: string): boolean {
  return key === "flags" || key === "operations";
}

/** What has 64 bits is an address or a size, in hexadecimal. */
function words(value: unknown): string {
  if (value instanceof Uint8Array) return bytesWords(value);
  if (Array.isArray(value)) return listWords(value);
  if (typeof value === "bigint") return hex(value);
  if (typeof value === "object" && value !== null) return `{${fieldWords(value as Fields)}}`;
  const text = `${value}`;
  return text.length > nameMax ? `${text.slice(0, nameMax)}…` : text;
}

function listWords(list: readonly unknown[]): string {
  const more = list.length > listMax ? [`${list.length - listMax} more`] : [];
  return `[${[...list.slice(0, listMax).map(words), ...more].join(", ")}]`;
}

/** "00 01 (2 bytes)" */
function bytesWords(bytes: Uint8Array): string {
  const shown = bytes
    .subarray(0, bytesMax)
    .toHex()
    .replace(/..(?=.)/g, "$& ");
  const dots = bytes.length > bytesMax ? " …" : "";
  const length = `(${bytes.length} ${bytes.length === 1 ? "byte" : "bytes"})`;
  return bytes.length === 0 ? length : `${shown}${dots} ${length}`;
}

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return bytesJson(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "bigint")
    return value <= Number.MAX_SAFE_INTEGER ? Number(value) : hex(value);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}

function bytesJson(bytes: Uint8Array) {
  return { bytes: bytes.length, hex: bytes.subarray(0, bytesMax).toHex() };
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
