/** Who is measured: how each sends and receives, as a line for the shell. */
import { join } from "node:path";
import { launcher } from "../support/zc.ts";

export interface Place {
  readonly transport: "tcp" | "unix";
  /** A port of 127.0.0.1, or a path. */
  readonly at: string;
  readonly bytes: number;
}

export interface Contender {
  readonly name: string;
  readonly program: string;
  readonly transports: readonly Place["transport"][];
  /** Only memory to memory: it has no files and no pipes. */
  readonly memoryOnly?: boolean;
  /** FILE, or standard input. */
  readonly send: (place: Place, file: string | undefined) => string;
  /** FILE, or standard output. */
  readonly receive: (place: Place, file: string | undefined) => string;
}

export const referenceProgram = join(import.meta.dirname, "..", ".out", "reference");

const zc: Contender = {
  name: "zc",
  program: launcher,
  transports: ["tcp", "unix"],
  send: (place, file = "") => `${launcher} send -q ${zcAddress(place)} ${file}`,
  receive: (place, file = "") => `${launcher} recv -q ${zcAddress(place)} ${file}`,
};

const reference: Contender = {
  name: "reference",
  program: referenceProgram,
  transports: ["tcp", "unix"],
  send: ({ at }, file = "") => `${referenceProgram} send ${at} ${file}`,
  receive: ({ at }) => `${referenceProgram} recv ${at}`,
};

const openbsd: Contender = {
  name: "nc.openbsd",
  program: "nc.openbsd",
  transports: ["tcp", "unix"],
  send: (place, file) => `nc.openbsd -N ${ncAddress(place)} ${from(file)}`,
  receive: (place, file) => `nc.openbsd -l ${ncAddress(place)} ${to(file)}`,
};

const ncat: Contender = {
  name: "ncat",
  program: "ncat",
  transports: ["tcp", "unix"],
  send: (place, file) => `ncat --send-only ${ncAddress(place)} ${from(file)}`,
  receive: (place, file) => `ncat -l --recv-only ${ncAddress(place)} ${to(file)}`,
};

function socat(name: string, options: string): Contender {
  return {
    name,
    program: "socat",
    transports: ["tcp", "unix"],
    send: ({ transport, at }, file) => {
      const address = transport === "unix" ? `UNIX-CONNECT:${at}` : `TCP:127.0.0.1:${at}`;
      return `socat -u ${options} ${file === undefined ? "-" : `FILE:${file}`} ${address}`;
    },
    receive: ({ transport, at }, file) => {
      const listen = transport === "unix" ? `UNIX-LISTEN:${at}` : `TCP-LISTEN:${at},bind=127.0.0.1`;
      return `socat -u ${options} ${listen},reuseaddr ${file === undefined ? "-" : `OPEN:${file},creat`}`;
    },
  };
}

function mbuffer(name: string, options: string): Contender {
  return {
    name,
    program: "mbuffer",
    transports: ["tcp"],
    send: ({ at }, file) => `mbuffer -q ${options} ${file ? `-i ${file}` : ""} -O 127.0.0.1:${at}`,
    receive: ({ at }, file) => `mbuffer -q ${options} -f -I ${at} ${file ? `-o ${file}` : ""}`,
  };
}

function iperf3(name: string, options: string): Contender {
  return {
    name,
    program: "iperf3",
    transports: ["tcp"],
    memoryOnly: true,
    send: ({ at, bytes }) => `iperf3 -c 127.0.0.1 -p ${at} -n ${bytes} ${options} >/dev/null`,
    receive: ({ at }) => `iperf3 -s -1 -B 127.0.0.1 -p ${at} >/dev/null`,
  };
}

export const contenders: readonly Contender[] = [
  zc,
  reference,
  openbsd,
  ncat,
  socat("socat", ""),
  socat("socat -b1048576", "-b1048576"),
  mbuffer("mbuffer", ""),
  mbuffer("mbuffer -s 1M -m 64M", "-s 1M -m 64M"),
  iperf3("iperf3 (memory)", ""),
  iperf3("iperf3 -Z (memory)", "-Z"),
];

function zcAddress({ transport, at }: Place): string {
  return transport === "unix" ? `unix:${at}` : `tcp:127.0.0.1:${at}`;
}

function ncAddress({ transport, at }: Place): string {
  return transport === "unix" ? `-U ${at}` : `127.0.0.1 ${at}`;
}

function from(file: string | undefined): string {
  return file === undefined ? "" : `<${file}`;
}

function to(file: string | undefined): string {
  return file === undefined ? "" : `>${file}`;
}
