/** Plain tools at the other end: what they send and receive is the bytes and nothing else. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { isNightly } from "../support/nightly.ts";
import { type Scratch, scratch } from "../support/scratch.ts";
import { launcher } from "../support/zc.ts";
import { isAbsent } from "./installed.ts";
import { freePort, untilListening } from "./listening.ts";
import { isPrivateNetworkAbsent, type Network, privateNetwork, thisNetwork } from "./network.ts";
import { bothResults, difference, failure, own, ownFile } from "./own.ts";

/** What the tool is; zc is the opposite in both. */
interface End {
  readonly role: "listens" | "connects";
  readonly direction: "receives" | "sends";
}

type Transport = "tcp" | "unix";

/** A port of 127.0.0.1, or a path. */
interface Place {
  readonly transport: Transport;
  readonly at: string;
}

interface Netcat {
  readonly program: string;
  readonly transports: readonly Transport[];
  readonly ends: readonly End[];
  readonly size: number;
  /** It cannot listen on loopback alone. */
  readonly listensEverywhere?: true;
  /** It sends its standard input, or receives to its standard output. */
  readonly args: (end: End, place: Place) => readonly string[];
}

const small = 64 << 20;
const large = isNightly ? 1 << 30 : 256 << 20;

/** As zc is used first of all: who sends connects. */
const usual: readonly End[] = [
  { role: "listens", direction: "receives" },
  { role: "connects", direction: "sends" },
];
const turned: readonly End[] = [
  { role: "listens", direction: "sends" },
  { role: "connects", direction: "receives" },
];

const openbsd: Pick<Netcat, "program" | "transports" | "args"> = {
  program: "nc.openbsd",
  transports: ["tcp", "unix"],
  args: ({ role, direction }, { transport, at }) => [
    ...(role === "listens" ? ["-l"] : []),
    ...(direction === "sends" ? ["-N"] : []),
    ...(transport === "unix" ? ["-U", at] : ["127.0.0.1", at]),
  ],
};

const socat: Pick<Netcat, "program" | "transports" | "args"> = {
  program: "socat",
  transports: ["tcp", "unix"],
  args: ({ role, direction }, place) => {
    const socket = socatAddress[place.transport][role](place.at);
    return direction === "sends" ? ["-u", "STDIN", socket] : ["-u", socket, "STDOUT"];
  },
};

const socatAddress = {
  tcp: {
    listens: (port: string) => `TCP-LISTEN:${port},bind=127.0.0.1`,
    connects: (port: string) => `TCP:127.0.0.1:${port}`,
  },
  unix: {
    listens: (path: string) => `UNIX-LISTEN:${path}`,
    connects: (path: string) => `UNIX-CONNECT:${path}`,
  },
} as const;

const ncat: Pick<Netcat, "program" | "transports" | "args"> = {
  program: "ncat",
  transports: ["tcp", "unix"],
  args: ({ role, direction }, { transport, at }) => [
    ...(role === "listens" ? ["-l"] : []),
    direction === "sends" ? "--send-only" : "--recv-only",
    ...(transport === "unix" ? ["-U", at] : ["127.0.0.1", at]),
  ],
};

const mbuffer: Pick<Netcat, "program" | "transports" | "args" | "listensEverywhere"> = {
  program: "mbuffer",
  transports: ["tcp"],
  listensEverywhere: true,
  args: ({ role }, { at }) => ["-q", role === "listens" ? "-I" : "-O", `127.0.0.1:${at}`],
};

const busybox: Pick<Netcat, "program" | "transports" | "args"> = {
  program: "busybox",
  transports: ["tcp"],
  args: ({ role }, { at }) =>
    role === "listens" ? ["nc", "-l", "-p", at, "127.0.0.1"] : ["nc", "127.0.0.1", at],
};

const netcats: readonly Netcat[] = [
  { ...openbsd, ends: usual, size: large },
  { ...socat, ends: usual, size: large },
  { ...ncat, ends: usual, size: large },
  { ...mbuffer, ends: usual, size: large },
  { ...openbsd, ends: turned, size: small },
  { ...socat, ends: turned, size: small },
  { ...ncat, ends: turned, size: small },
  { ...busybox, ends: usual, size: small },
];

const cases = netcats.flatMap((netcat) =>
  netcat.ends.flatMap((end) =>
    netcat.transports.map((transport) => {
      const name = `${netcat.program} ${end.role} and ${end.direction}, ${transport}`;
      return [`${name}, ${netcat.size >> 20} MiB`, { netcat, end, transport }] as const;
    }),
  ),
);

let sources: Scratch;
const sourceOf = ({ size }: Netcat) => sources.file(`${size}`);

beforeAll(() => {
  sources = scratch();
  for (const size of [small, large]) sources.random(`${size}`, size);
});

afterAll(() => sources[Symbol.dispose]());

test.for(cases)("%s", { timeout: 60_000 }, async ([, { netcat, end, transport }], { skip }) => {
  const isolated = netcat.listensEverywhere === true && end.role === "listens";
  skip(isAbsent(netcat.program) || (isolated && isPrivateNetworkAbsent()));
  using folder = scratch();
  const files = { source: sourceOf(netcat), out: folder.file("out") };
  const at = transport === "unix" ? folder.file("socket") : `${await freePort()}`;
  const network = isolated ? await privateNetwork() : thisNetwork;
  const startTool = () => startNetcat(network, netcat, end, { transport, at }, files);
  const startOurs = () => startZcOpposite(network, end, { transport, at }, files);

  const [first, second] = end.role === "listens" ? [startTool, startOurs] : [startOurs, startTool];
  const listener = first();
  await untilListening(listener, `${transport}:${at}`);
  const connector = second();

  const results = await bothResults(listener, connector);
  expect(results.map(failure)).toEqual(["", ""]);
  expect(await difference(files.source, files.out)).toBe("");
});

interface Files {
  readonly source: string;
  readonly out: string;
}

function startNetcat(network: Network, netcat: Netcat, end: End, place: Place, files: Files) {
  const command = network(netcat.program, netcat.args(end, place));
  return end.direction === "sends"
    ? own(...command, { stdin: ownFile(files.source, "r") })
    : own(...command, { stdout: ownFile(files.out, "w") });
}

function startZcOpposite(network: Network, end: End, { transport, at }: Place, files: Files) {
  const address = transport === "unix" ? `unix:${at}` : `tcp:127.0.0.1:${at}`;
  const role = end.role === "listens" ? "--connect" : "--listen";
  const args =
    end.direction === "sends"
      ? ["recv", role, address, files.out]
      : ["send", role, address, files.source];
  return own(...network(launcher, args));
}
