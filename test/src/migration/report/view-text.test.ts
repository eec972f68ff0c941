/** What a relay tells of a migration. */
import { expect, test } from "vitest";
import type { MigrationState } from "../../../../src/migration/report/view.ts";
import { endText, stateText } from "../../../../src/migration/report/view-text.ts";

const state: MigrationState = {
  machine: "pc",
  ramBytes: 64 << 20,
  pageSize: 4096,
  round: 2,
  pagesOfRound: 98,
  pagesOfRoundBefore: 16_384,
  pages: 16_482,
  pagesAgain: 98,
  channels: 4,
  isPostcopy: true,
  requests: 7,
  hasBegun: true,
  hasEnded: true,
  answer: 0,
  isBlind: false,
};

/** As few as there can be of each. */
const ones = { round: 1, pages: 1, pagesAgain: 0, channels: 1, requests: 1 };

test.each<[string, Partial<MigrationState>, string]>([
  [
    "all of it",
    {},
    "pc with 64.0 MiB of RAM; 2 rounds, 16,482 pages, 98 of them again; 4 channels; postcopy, 7 requests; the destination has it",
  ],
  [
    "one of each",
    ones,
    "pc with 64.0 MiB of RAM; 1 round, 1 page, 0 of them again; 1 channel; postcopy, 1 request; the destination has it",
  ],
  ["what nobody answered", { answer: undefined }, "; all was sent"],
  ["what the destination refused", { answer: -22 }, "; the destination failed: -22"],
  ["what broke off", { hasEnded: false, answer: undefined }, "; it broke off"],
  [
    "what was too fast",
    { hasEnded: false, answer: undefined, isBlind: true },
    "; of what could be seen: some went by too fast; its end was not seen",
  ],
  ["no migration", { hasBegun: false, machine: undefined, ramBytes: 0 }, "no migration was seen"],
])("in the end: %s", (text, changes, expected) => {
  const isWhole = expected.startsWith(";") ? expect.stringContaining(expected) : expected;
  expect({ text, is: endText({ ...state, ...changes }) }).toEqual({ text, is: isWhole });
});

test.each<[string, Partial<MigrationState>, string]>([
  [
    "a later round",
    { channels: 0, isPostcopy: false },
    "round 2: 98 pages (16,384 in the one before); 16,482 in all, 98 of them again; 1.00 MiB/s",
  ],
  [
    "the first round",
    { ...ones, pages: 8192 },
    "round 1: 32.0 MiB of 64.0 MiB, at most 32.00 s left; 8,192 in all, 0 of them again; 1 channel; postcopy, 1 request; 1.00 MiB/s",
  ],
  ["before RAM", { ramBytes: 0 }, "no RAM yet; 1.00 MiB/s"],
])("meanwhile: %s", (_, changes, expected) => {
  expect(stateText({ ...state, ...changes }, 1 << 20)).toBe(expected);
});
