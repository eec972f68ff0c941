/** A device of the kernel's, by the ioctls of linux/vfio.h. */
import { ptr } from "bun:ffi";
import { constants as osConstants } from "node:os";
import { ZcError } from "../../errors.ts";
import type {
  AddressRange,
  DeviceFacts,
  MigratableDevice,
  MigrationData,
  MigrationFeatures,
} from "../device.ts";
import { bitmapSize, dirtyRanges } from "../dirty-bitmap.ts";
import {
  featureDmaLoggingControl,
  featureDmaLoggingRange,
  featureDmaLoggingReport,
  featureFlags,
  featureMigDataSize,
  featureMigration,
  featureMigState,
  features,
} from "../feature.ts";
import { joinBytes } from "../record.ts";
import { type DeviceState, deviceStates, featuresOf } from "../states.ts";
import { call, callFeature, keep } from "./call.ts";
import { KernelData } from "./data.ts";
import { type DeviceDescriptor, openDescriptor } from "./descriptors.ts";
import { locate } from "./locate.ts";
import { deviceFlag, deviceInfoRecord, pointerRecord, precopyInfo2, request } from "./uapi.ts";

const { EINVAL, ENOTTY, EOPNOTSUPP } = osConstants.errno;
/** LOG_MAX_RANGES of drivers/vfio/vfio_main.c: those that fit into a page. */
const rangesMax = 256;

/**
 * A device by its node, PCI address, mdev UUID or folder in sysfs; nobody else can have it open.
 * Throws USAGE, CONNECT, AUTH, UNSUPPORTED.
 */
export async function openKernelDevice(name: string): Promise<MigratableDevice> {
  const located = locate(name);
  const descriptor = await openDescriptor(located);
  return new KernelDevice(name, located.driver, descriptor);
}

class KernelDevice implements MigratableDevice {
  readonly name: string;
  readonly #driver: string | undefined;
  readonly #descriptor: DeviceDescriptor;
  /** It was made RESUMING here, so that its data can still be given. */
  #isResuming = false;

  constructor(name: string, driver: string | undefined, descriptor: DeviceDescriptor) {
    this.name = name;
    this.#driver = driver;
    this.#descriptor = descriptor;
  }

  async facts(): Promise<DeviceFacts> {
    const info = deviceInfoRecord.encode({ argsz: deviceInfoRecord.size });
    this.#assert(await call(this.#fd, request.deviceInfo, info), "ask about");
    const { flags, regions, irqs } = deviceInfoRecord.decode(info);
    return {
      driver: this.#driver,
      isPci: (flags & deviceFlag.pci) !== 0,
      canReset: (flags & deviceFlag.reset) !== 0,
      regions,
      irqs,
      hasDmaLogging: await this.#has(features.DMA_LOGGING_START, featureFlags.SET),
    };
  }

  async features(): Promise<MigrationFeatures> {
    const value = featureMigration.encode({});
    const answer = await callFeature(this.#fd, features.MIGRATION, featureFlags.GET, value);
    if (answer === -ENOTTY) return featuresOf(0n);
    return featuresOf(featureMigration.decode(this.#answered(answer, "ask about")).flags);
  }

  async state(): Promise<DeviceState> {
    const value = featureMigState.encode({});
    const answer = await callFeature(this.#fd, features.MIG_DEVICE_STATE, featureFlags.GET, value);
    const { device_state } = featureMigState.decode(this.#answered(answer, "ask for the state of"));
    const name = deviceStates[device_state];
    if (name !== undefined) return name;
    const reason = `it says that its state is ${device_state}`;
    throw new ZcError({ code: "PROTOCOL", subject: this.name, reason });
  }

  async setState(state: DeviceState): Promise<MigrationData | undefined> {
    const before = await this.state();
    if (before === "RESUMING" && !this.#isResuming) throw abandoned(this.name);
    // Without it, initial bytes that come later are counted as dirty ones, or not at all.
    if (state === "PRE_COPY" || state === "PRE_COPY_P2P") await this.#askForLaterInitialBytes();
    const value = featureMigState.encode({
      device_state: deviceStates.indexOf(state),
      data_fd: -1,
    });
    const answer = await callFeature(this.#fd, features.MIG_DEVICE_STATE, featureFlags.SET, value);
    const { data_fd } = featureMigState.decode(
      this.#answered(answer, `change from ${before} to ${state}`),
    );
    this.#isResuming = state === "RESUMING";
    return data_fd < 0 ? undefined : new KernelData(data_fd, this);
  }

  async stopCopySize(): Promise<number | undefined> {
    const value = featureMigDataSize.encode({});
    const answer = await callFeature(this.#fd, features.MIG_DATA_SIZE, featureFlags.GET, value);
    // Kernels before 6.2 do not know the feature.
    if (answer === -ENOTTY || answer === -EINVAL) return undefined;
    const size = featureMigDataSize.decode(this.#answered(answer, "ask for the size of"));
    return Number(size.stop_copy_length);
  }

  async reset(): Promise<void> {
    this.#assert(await call(this.#fd, request.reset), "reset");
    this.#isResuming = false;
  }

  async startDmaLogging(ranges: readonly AddressRange[], pageSize: number): Promise<void> {
    if (ranges.length > rangesMax) throw new RangeError(`more than ${rangesMax} ranges`);
    const list = joinBytes(
      ...ranges.map(({ address, size }) =>
        featureDmaLoggingRange.encode({ iova: address, length: size }),
      ),
    );
    const value = joinBytes(
      featureDmaLoggingControl.encode({ page_size: BigInt(pageSize), num_ranges: ranges.length }),
      pointerRecord.encode({ address: list.length === 0 ? 0n : BigInt(ptr(list)) }),
    );
    const answer = await callFeature(this.#fd, features.DMA_LOGGING_START, featureFlags.SET, value);
    keep(list);
    this.#answered(answer, "start DMA logging of");
  }

  async takeDmaLog(range: AddressRange, pageSize: number): Promise<readonly AddressRange[]> {
    const bitmap = new Uint8Array(Number(bitmapSize(range.size, BigInt(pageSize))));
    const value = joinBytes(
      featureDmaLoggingReport.encode({
        ...{ iova: range.address, length: range.size },
        page_size: BigInt(pageSize),
      }),
      pointerRecord.encode({ address: BigInt(ptr(bitmap)) }),
    );
    const answer = await callFeature(
      this.#fd,
      features.DMA_LOGGING_REPORT,
      featureFlags.GET,
      value,
    );
    if (answer === -EOPNOTSUPP) throw withoutBitmaps(this.name);
    this.#answered(answer, "read the DMA log of");
    return dirtyRanges(bitmap, range, pageSize);
  }

  async stopDmaLogging(): Promise<void> {
    const answer = await callFeature(this.#fd, features.DMA_LOGGING_STOP, featureFlags.SET);
    this.#answered(answer, "stop DMA logging of");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#descriptor.close();
  }

  get #fd(): number {
    return this.#descriptor.fd;
  }

  async #has(number: number, how: number): Promise<boolean> {
    const flags = featureFlags.PROBE | how;
    return typeof (await callFeature(this.#fd, number, flags)) !== "number";
  }

  /** VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2; what does not know it has no such bytes. */
  async #askForLaterInitialBytes(): Promise<void> {
    await callFeature(this.#fd, precopyInfo2, featureFlags.SET);
  }

  #answered(answer: Uint8Array | number, operation: string): Uint8Array {
    if (typeof answer !== "number") return answer;
    throw this.#refused(answer, operation);
  }

  #assert(result: number, operation: string): void {
    if (result < 0) throw this.#refused(result, operation);
  }

  #refused(result: number, operation: string): ZcError {
    const lacks = result === -ENOTTY;
    return new ZcError({
      code: lacks ? "UNSUPPORTED" : "DEVICE",
      operation,
      subject: this.name,
      errno: -result,
      hint: lacks ? "its driver does not have this" : undefined,
    });
  }
}

/** The kernel's iova_bitmap, which every driver's log is read with, comes with iommufd. */
function withoutBitmaps(subject: string): ZcError {
  return new ZcError({
    ...{ code: "UNSUPPORTED", operation: "read the DMA log of", subject, errno: EOPNOTSUPP },
    hint: "it needs a kernel with CONFIG_IOMMUFD",
  });
}

/**
 * Whoever made it RESUMING took the data's descriptor with it, and some drivers fall over a change
 * that would end such a session: mtty reads through a null pointer.
 */
function abandoned(name: string): ZcError {
  return new ZcError({
    code: "DEVICE",
    operation: "change the state of",
    subject: name,
    reason: "it is RESUMING, and who was to give it its data has gone",
    hint: `zc vfio state ${name} --reset`,
  });
}
