import { Client, type JsonSchemaType } from "@modelcontextprotocol/client";
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/client/validators/ajv";
import * as z from "zod";
import type { WorkflowsServer } from "../../src/server/server.js";
import type { Chat, ChatOptions } from "./chat.js";
import { inspectMessage } from "./inspect.js";
import type { ModernClient } from "./modern-manner.js";
import { type ModernLink, playRounds, type Reply } from "./modern-rounds.js";
import { overHttp, overPipes, tapClient, type Wire } from "./modern-wire.js";
import { UNLIMITED_MS, withPatience } from "./waits.js";

const VERSION = "2026-07-28";
const TASKS = "io.modelcontextprotocol/tasks";
/** How long a resource may take, in real ms. */
const RESOURCE_MS = 60_000;

type Check = (value: unknown) => { valid: boolean; errorMessage?: string | undefined };
const validator = new AjvJsonSchemaValidator();
/** By the schema's text: the tools of all sequences have a few, and each takes its time. */
const checks = new Map<string, Check>();

function toCheck(schema: JsonSchemaType): Check {
  const text = JSON.stringify(schema);
  const check = checks.get(text) ?? validator.getValidator(schema);
  checks.set(text, check);
  return check;
}

const anything = z.looseObject({});

/** A client of protocol 2026-07-28: the official library, pinned, with rounds and tasks played by hand. */
export function createModernChat(options: ChatOptions, modern: ModernClient): Chat {
  const { sequence, sabotage, key, note, time } = options;
  let own: { client: Client; wire: Wire } | undefined;
  let other: Client | undefined;
  let generation = 0;
  let isOver = false;
  let restarting: Promise<void> | undefined;
  const schemas = new Map<string, Check>();

  async function connect(wire: Wire): Promise<Client> {
    const client = new Client(
      { name: sequence.clientName, version: "1.0.0" },
      {
        capabilities: {
          ...(sequence.hasForms ? { elicitation: { form: {} } } : {}),
          ...(modern.hasTasks ? { extensions: { [TASKS]: {} } } : {}),
        },
        versionNegotiation: { mode: { pin: VERSION } },
      },
    );
    const watched = tapClient(wire.transport, {
      out(message) {
        note(inspectMessage(message, key));
        return message;
      },
    });
    await client.connect(tapClient(watched, sabotage.tap?.({ key }) ?? {}));
    return client;
  }

  const send =
    (clientOf: () => Client | undefined): ModernLink["request"] =>
    async (method, params, how) => {
      await restarting;
      const client = clientOf();
      if (!client) throw new Error("There is no connection.");
      const reply = await withPatience(time, how.timeoutMs, how.signal, (signal) =>
        client.request({ method, params: { ...params } }, anything, {
          ...{ timeout: UNLIMITED_MS, allowInputRequired: true, signal },
          ...(how.progress ? { onprogress: () => {} } : {}),
        }),
      );
      return reply as Reply;
    };

  const link: ModernLink = {
    request: send(() => own?.client),
    otherCaller: modern.over === "HTTP" ? send(() => other) : undefined,
    generation: () => generation,
    isOver: () => isOver,
    hasTasks: modern.hasTasks,
    anotherProcess() {
      restarting ??= (async () => {
        generation++;
        await own?.wire.hangUp();
        await own?.client.close();
        await other?.close();
        await options.restartServer();
      })().finally(() => {
        restarting = undefined;
      });
      return restarting;
    },
    complainOf(name, structured) {
      const checked = schemas.get(name)?.(structured);
      return checked && !checked.valid ? checked.errorMessage : undefined;
    },
  };

  async function patiently<T>(
    work: (client: Client, how: { timeout: number; signal: AbortSignal }) => Promise<T>,
  ): Promise<T | undefined> {
    await restarting;
    const before = generation;
    const client = own?.client;
    if (!client) return undefined;
    try {
      return await withPatience(time, RESOURCE_MS, undefined, (signal) =>
        work(client, { timeout: UNLIMITED_MS, signal }),
      );
    } catch (error) {
      // The connection was cut under it.
      if (generation !== before) return undefined;
      throw error;
    }
  }

  return {
    async open(server: WorkflowsServer) {
      const wire = modern.over === "stdio" ? overPipes(server) : overHttp(server, "pat");
      own = { wire, client: await connect(wire) };
      if (modern.over === "HTTP") {
        await server.carryOnPlans();
        other = await connect(overHttp(server, "kim"));
      }
      const { tools } = await own.client.listTools();
      for (const { name, outputSchema } of tools) schemas.set(name, toCheck(outputSchema as JsonSchemaType));
    },
    call: (asked, how) => playRounds(asked, how, link, options),
    readResource: (uri) => patiently((client, how) => client.readResource({ uri }, how)),
    listResources: () => patiently((client, how) => client.listResources(undefined, how)),
    subscribe: () =>
      patiently((client) => client.listen({ resourcesListChanged: true, toolsListChanged: true })),
    complete(typed) {
      const ref = { type: "ref/resource" as const, uri: "automagik://runs/{run_id}" };
      const params = { ref, argument: { name: "run_id", value: typed } };
      return patiently((client, how) => client.complete(params, how));
    },
    expectEnd() {
      isOver = true;
    },
    async close() {
      await own?.client.close();
      await other?.close();
    },
  };
}
