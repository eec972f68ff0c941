/** Commands whose errors are JSON too, with --json. */
import { ZcError } from "../errors.ts";
import { isReaderGone, isResultLost, printNote, printResult } from "../print.ts";
import { interruptible } from "../signals.ts";

interface JsonOutput {
  /** Where the JSON goes; standard output, unless that carries data. */
  readonly print?: (text: string) => void;
  /** What is told beside the error. */
  readonly beside?: () => object;
}

/** Runs it until it ends, or is ended; with --json an error is JSON too. */
export function runJson(
  isJson: boolean,
  action: (signal: AbortSignal) => Promise<number>,
  { print = printResult, beside = () => ({}) }: JsonOutput = {},
): Promise<number> {
  return interruptible(async (signal) => {
    try {
      return await action(signal);
    } catch (error) {
      if (!isJson || !(error instanceof ZcError)) throw error;
      if (isReaderGone(error) || isResultLost(error)) throw error;
      printNote(error.toLine());
      print(JSON.stringify({ error: error.toJSON(), ...beside() }));
      return error.exitCode;
    }
  });
}
