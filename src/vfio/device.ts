/**
 * A device that can be saved and resumed: the kernel's, by ioctl(2), or a vfio-user server's, over a
 * socket. Who saves, resumes and migrates does not know which. linux/vfio.h, "VFIO migration".
 */
import type { MoveEnd } from "../transfer/move.ts";
import type { DeviceState } from "./states.ts";

/** How long a device in another process may owe data, where nobody says. */
export const dataTimeoutMsDefault = 10_000;

/** VFIO_MIGRATION_*: none of them: the device cannot be migrated. */
export interface MigrationFeatures {
  readonly stopCopy: boolean;
  readonly p2p: boolean;
  readonly preCopy: boolean;
}

/** What a device in PRE_COPY has still to give; an estimate. Bytes. */
export interface PrecopyInfo {
  /** Of what it must have given before it is worth stopping. */
  readonly initialBytes: number;
  /** Changed since it was given. */
  readonly dirtyBytes: number;
}

/** Guest memory that a device may write; bytes. */
export interface AddressRange {
  readonly address: bigint;
  readonly size: bigint;
}

/** What a device is, whether or not it can be migrated. */
export interface DeviceFacts {
  /** Who drives it: a kernel module, or what a vfio-user server calls itself. undefined: unknown. */
  readonly driver: string | undefined;
  readonly isPci: boolean;
  readonly canReset: boolean;
  readonly regions: number;
  readonly irqs: number;
  /** Its writes to guest memory can be noted. */
  readonly hasDmaLogging: boolean;
}

export interface MigratableDevice extends AsyncDisposable {
  /** As the user named it. */
  readonly name: string;
  facts(signal?: AbortSignal): Promise<DeviceFacts>;
  features(signal?: AbortSignal): Promise<MigrationFeatures>;
  state(signal?: AbortSignal): Promise<DeviceState>;
  /**
   * Asks for one state; the device walks the whole path, synchronously: no signal can interrupt that,
   * but it ends the wait for a device in another process. Resolves with the data that an arc on the
   * way opened, which the caller owns. After an error the device can rest in any state of the path, or
   * still be on its way: `state` tells.
   */
  setState(state: DeviceState, signal?: AbortSignal): Promise<MigrationData | undefined>;
  /** An estimate of what STOP_COPY will give, in any state; bytes. undefined: it does not tell. */
  stopCopySize(signal?: AbortSignal): Promise<number | undefined>;
  /** The only way out of ERROR; to RUNNING. A signal ends the wait, as for a state. */
  reset(signal?: AbortSignal): Promise<void>;
  /** From now on the device's writes to these are noted, by pages of this size or another. */
  startDmaLogging(ranges: readonly AddressRange[], pageSize: number): Promise<void>;
  /** What was written since it was last asked, as ranges, joined; it is clean again. */
  takeDmaLog(range: AddressRange, pageSize: number): Promise<readonly AddressRange[]>;
  stopDmaLogging(): Promise<void>;
}

export interface DataMoved {
  readonly bytes: number;
  /** "paused": in PRE_COPY there is no more for now; "limit": as many bytes as were asked for. */
  readonly end: "end" | "paused" | "limit";
}

export interface DataOptions {
  /** Bytes at most. */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told of the bytes so far, now and then. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/** A data transfer session of a device: its order of bytes matters, their portions do not. */
export interface MigrationData extends AsyncDisposable {
  /** In PRE_COPY and PRE_COPY_P2P alone. undefined: it does not tell, what it gives is all there is to see. */
  precopyInfo(signal?: AbortSignal): Promise<PrecopyInfo | undefined>;
  /** From the device to the sink, until it has no more: for now, or at all. */
  moveTo(sink: MoveEnd, options?: DataOptions): Promise<DataMoved>;
  /** From the source, to its end, to the device. */
  moveFrom(source: MoveEnd, options?: DataOptions): Promise<DataMoved>;
}
