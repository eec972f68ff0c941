import { expect, test } from "vitest";
import { GpioDevice } from "../../../../src/vfio-user/devices/gpio.ts";
import { encodeIrqSet } from "../../../../src/vfio-user/protocol/irq.ts";
import {
  decodeRegionData,
  encodeRegionAccess,
  encodeRegionData,
} from "../../../../src/vfio-user/protocol/region.ts";
import { attach, eventFd, type TestClient } from "../server/client.ts";

async function read(client: TestClient, offset: number): Promise<number | undefined> {
  const access = encodeRegionAccess({ region: 2, offset: BigInt(offset), count: 1 });
  return decodeRegionData(await client.get("REGION_READ", access)).data[0];
}

async function write(client: TestClient, offset: number, value: number): Promise<void> {
  const data = Uint8Array.of(value);
  await client.get("REGION_WRITE", encodeRegionData({ region: 2, offset: BigInt(offset), data }));
}

test("an input is high unless its output was raised once or twice since", async () => {
  await using client = await attach(new GpioDevice());
  const seen: (number | undefined)[] = [];
  for (let raised = 0; raised < 4; raised++) {
    seen.push(await read(client, 1), await read(client, 5));
    await write(client, 0, 0x03);
    await write(client, 4, 0x80);
  }
  expect(seen).toEqual([0xff, 0xff, 0xfc, 0x7f, 0xfc, 0x7f, 0xff, 0xff]);
  await client.get("DEVICE_RESET", new Uint8Array(0));
  expect(await read(client, 1)).toBe(0xff);
});

test("an input that changes interrupts, as long as interrupts are on", async () => {
  await using client = await attach(new GpioDevice());
  const irq = eventFd();
  const set = { data: "eventfd", action: "trigger", index: 0, start: 0, count: 1 } as const;
  await client.get("DEVICE_SET_IRQS", encodeIrqSet(set), [irq.fd]);
  await write(client, 0, 1);
  expect([irq.count(), await read(client, 6)]).toEqual([1, 7]);
  await write(client, 0, 1); // its second time: the input stays low
  expect(irq.count()).toBe(0);
  await write(client, 1, 0);
  expect(await read(client, 6)).toBe(0);
  await write(client, 2, 0);
  await write(client, 0, 1);
  expect([irq.count(), await read(client, 6)]).toEqual([0, 0]);
  await read(client, 2);
  await write(client, 0, 1);
  expect(irq.count()).toBe(1);
  irq.close();
});
