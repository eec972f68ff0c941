/** What a migration stream is made of, in the order in which it comes. */
import type { RamCounts } from "../ram/ram.ts";

interface At {
  /** Of its first byte, in the stream. */
  readonly offset: number;
  /** Bytes, all of it. */
  readonly length: number;
  /** In a package that a command carries (postcopy). */
  readonly isPackaged?: true;
}

/** In front of what `virsh save` wrote. */
export interface Libvirt extends At {
  readonly type: "libvirt";
  readonly version: number;
  /** False: it was not finished. */
  readonly isComplete: boolean;
  readonly wasRunning: boolean;
  readonly format: string;
  readonly header: Uint8Array;
  /** The domain's XML, a cookie, padding. */
  readonly data: Uint8Array;
}

export interface Header extends At {
  readonly type: "header";
  readonly version: number;
}

export interface Configuration extends At {
  readonly type: "configuration";
  readonly machine: string;
  /** Of a guest's page, as a power of two. */
  readonly pageBits?: number | undefined;
  /** Those that change the stream: "x-ignore-shared", "mapped-ram". */
  readonly capabilities?: readonly string[] | undefined;
  /** 16 bytes, hexadecimal. */
  readonly uuid?: string | undefined;
}

export const sectionKinds = ["start", "part", "end", "full"] as const;
export type SectionKind = (typeof sectionKinds)[number];

/** What says whose a section is; PART and END repeat the id alone. */
export interface SectionName {
  readonly id: number;
  readonly name: string;
  readonly instance: number;
  readonly version: number;
}

export interface Section extends At, SectionName {
  readonly type: SectionKind;
  readonly hasFooter: boolean;
  readonly payload: Payload;
}

export type Payload = RamPayload | VfioPayload | OpaquePayload;

export interface RamPayload {
  readonly kind: "ram";
  /** Bytes, as they came. */
  readonly length: number;
  /** In START: the list of blocks. */
  readonly blocks: readonly Block[];
  readonly counts: RamCounts;
  /** Multifd's channels were to catch up: so often. */
  readonly flushes: number;
}

/** VFIO's device data: QEMU, hw/vfio/migration.c. */
export interface VfioPayload {
  readonly kind: "vfio";
  readonly length: number;
  readonly records: readonly { readonly tag: string; readonly bytes: number }[];
}

/** A device's bytes; the stream's description, where there is one, tells what they are. */
export interface OpaquePayload {
  readonly kind: "opaque";
  readonly bytes: Uint8Array;
}

/** A RAM block. */
export interface Block {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Where postcopy is to be, and its pages are not the host's. */
  readonly pageSize?: number | undefined;
  /** With x-ignore-shared. */
  readonly guestAddress?: bigint | undefined;
  readonly mapped?: MappedRam | undefined;
}

/** Where mapped-ram has a block's pages; offsets in the file, 0 where the block is not in it. */
export interface MappedRam {
  readonly version: number;
  readonly pageSize: number;
  readonly bitmapOffset: number;
  readonly pagesOffset: number;
}

export interface Command extends At {
  readonly type: "command";
  readonly number: number;
  readonly name: string;
  readonly data: Uint8Array;
}

export interface Eof extends At {
  readonly type: "eof";
}

export interface Description extends At {
  readonly type: "description";
  /** JSON, as it came. */
  readonly text: Uint8Array;
}

/** Bytes that cannot be told apart: no footers, and no description. */
export interface Undelimited extends At {
  readonly type: "undelimited";
  readonly bytes: Uint8Array;
}

/** What follows the end. */
export interface Trailing extends At {
  readonly type: "trailing";
}

export type Element =
  | Libvirt
  | Header
  | Configuration
  | Section
  | Command
  | Eof
  | Description
  | Undelimited
  | Trailing;
