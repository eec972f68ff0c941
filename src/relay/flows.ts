/** What has passed in each direction of a join: C counts, anybody may look. */
import { ptr } from "bun:ffi";
import { flowStruct } from "../../ffi/structs.ts";

export interface Flow {
  /** Given to the sink. */
  readonly bytes: number;
  /** System calls that gave them. */
  readonly calls: number;
  /** Bytes that its tee did not get: from the first of them on it gets none. */
  readonly missed: number;
  /** The source's end was passed on. */
  readonly hasEnded: boolean;
}

/** Forth is from the near end to the far one. */
export interface Flows {
  readonly forth: Flow;
  readonly back: Flow;
}

const noFlow: Flow = { bytes: 0, calls: 0, missed: 0, hasEnded: false };
export const noFlows: Flows = { forth: noFlow, back: noFlow };

/** The counters in memory that C writes to as long as the job runs. */
export class SharedFlows {
  // As a view of a buffer it stays where it is.
  readonly #memory = new Uint8Array(flowStruct.allocate(2).buffer);

  /** For zc_relay.flows. */
  get address(): number {
    return Number(ptr(this.#memory));
  }

  get flows(): Flows {
    const raw = flowStruct.unpackAll(this.#memory, 2);
    const [forth = noFlow, back = noFlow] = raw.map(({ ended, ...counters }) => ({
      ...counters,
      hasEnded: ended !== 0,
    }));
    return { forth, back };
  }
}
