/** IP addresses as text and as bytes. Small, because node:net takes milliseconds to load. */

/** The 4 bytes of an IPv4 address or the 16 of an IPv6 address, in network order. */
export function parseIp(text: string): Uint8Array | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

/** Of 4 or 16 bytes. IPv6 as RFC 5952 recommends it. */
export function formatIp(bytes: Uint8Array): string {
  return bytes.length === 4 ? bytes.join(".") : formatIpv6(bytes);
}

/** "fe80::1%eth0": RFC 4007 section 11. */
export function splitZone(host: string): { address: string; zone?: string } {
  const percent = host.indexOf("%");
  if (percent === -1) return { address: host };
  return { address: host.slice(0, percent), zone: host.slice(percent + 1) };
}

/** No leading zeros: inet_aton(3) reads them as octal. */
const octet = /^(0|[1-9]\d{0,2})$/;

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  const right =
    parts.length === 4 && parts.every((part) => octet.test(part) && Number(part) <= 255);
  return right ? Uint8Array.from(parts, Number) : undefined;
}

const groupCount = 8;

function parseIpv6(text: string): Uint8Array | undefined {
  const [head = "", tail, ...more] = withIpv4AsGroups(text).split("::");
  const before = groupsOf(head);
  const after = groupsOf(tail ?? "");
  const missing = groupCount - before.length - after.length;
  if (more.length > 0 || (tail === undefined ? missing !== 0 : missing < 1)) return undefined;
  const groups = [...before, ...Array<string>(missing).fill("0"), ...after];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  const view = new DataView(new ArrayBuffer(2 * groupCount));
  groups.forEach((group, index) => {
    view.setUint16(2 * index, Number.parseInt(group, 16));
  });
  return new Uint8Array(view.buffer);
}

function groupsOf(text: string): string[] {
  return text === "" ? [] : text.split(":");
}

/** "::ffff:1.2.3.4" as "::ffff:102:304". */
function withIpv4AsGroups(text: string): string {
  const last = text.lastIndexOf(":") + 1;
  const ipv4 = parseIpv4(text.slice(last));
  return ipv4 === undefined ? text : text.slice(0, last) + hexGroups(ipv4);
}

function formatIpv6(bytes: Uint8Array): string {
  const text = hexGroups(bytes);
  if (text.startsWith("0:0:0:0:0:ffff:")) return `::ffff:${formatIp(bytes.subarray(12))}`;
  const zeroRuns = text.match(/\b0(:0)+\b/g) ?? [];
  const longest = zeroRuns.reduce((a, b) => (b.length > a.length ? b : a), "");
  return longest === "" ? text : text.replace(new RegExp(`(^|:)${longest}(:|$)`), "::");
}

function hexGroups(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const groups = Array.from({ length: bytes.length / 2 }, (_, index) => view.getUint16(2 * index));
  return groups.map((group) => group.toString(16)).join(":");
}
