/** A server that says what a test wants it to say, true or not. */
import { onTestFinished } from "vitest";
import { type Client, type ClientOptions, startClient } from "../../../../src/vfio-user/client.ts";
import { Connection, type Reply, type Request } from "../../../../src/vfio-user/connection.ts";
import { type CommandName, commandName } from "../../../../src/vfio-user/protocol/commands.ts";
import { type Capabilities, encodeVersion } from "../../../../src/vfio-user/protocol/version.ts";
import { Refusal } from "../../../../src/vfio-user/refusal.ts";
import { defaults, socketPair } from "../pair.ts";

type Answer = (request: Request) => Reply | Promise<Reply>;
export type Answers = Partial<Readonly<Record<CommandName, Answer>>>;

export function version(capabilities: Capabilities = {}): Answer {
  return () => ({ payload: encodeVersion({ major: 0, minor: 1, capabilities }) });
}

export interface Scripted {
  readonly client: Client;
  readonly server: Connection;
  /** By name, in their order. */
  readonly asked: readonly string[];
}

/** What it has no answer to is ENOSYS. Both end with the test. */
export async function scripted(answers: Answers, options: ClientOptions = {}): Promise<Scripted> {
  const [near, far] = socketPair();
  const asked: string[] = [];
  const server = new Connection(far, {
    ...defaults,
    onRequest: (request) => {
      const name = commandName(request.command);
      asked.push(name ?? `${request.command}`);
      const answer = name && { VERSION: version(), ...answers }[name];
      if (answer === undefined) throw new Refusal(38, "not in the script");
      return answer(request);
    },
  });
  onTestFinished(() => server[Symbol.dispose]());
  const client = await startClient(near, options);
  onTestFinished(() => client[Symbol.asyncDispose]());
  return { client, server, asked };
}
