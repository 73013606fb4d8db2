import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import { createTestClient, type ShownForm } from "../support/harness.js";
import { answerForm, isAgentsForm } from "./answer-forms.js";
import type { Chat, ChatOptions, Told } from "./chat.js";
import { inspectMessage } from "./inspect.js";
import type { SeenCall } from "./observed.js";
import { isOfPlan, wordOfForm } from "./plan-words.js";
import type { CallStep } from "./sequence.js";
import { UNLIMITED_MS, withPatience } from "./waits.js";
import { tapTransport } from "./watch-transport.js";

/** How long a resource may take, in real ms. */
const RESOURCE_MS = 60_000;
/** Patience is measured by the steady time. */
const LIMITS = { timeout: UNLIMITED_MS, maxTotalTimeout: UNLIMITED_MS };

/** A client of the protocols up to 2025-11-25: forms are requests of the server, in the middle of a call. */
export function createEarlierChat(options: ChatOptions): Chat {
  const { sequence, random, sabotage, key, time, formTimeMs, note, words, trace } = options;
  /** Whose forms they are: a form does not tell. */
  let current: { call: SeenCall; step: CallStep } | undefined;

  async function onForm(form: ShownForm, signal: AbortSignal) {
    if (isAgentsForm(form)) {
      const answer = random.pick(["accept", "accept", "decline", "cancel"] as const);
      return answerForm(form, answer, formTimeMs, signal);
    }
    const answer = current?.step.form ?? "decline";
    const isWithin = isOfPlan(form);
    current?.call.forms.push({ message: form.message, answer, shownAt: time.now(), isWithin });
    trace(`  form: ${form.message.slice(0, 120)} -> ${answer}`);
    const brought = await answerForm(form, answer, formTimeMs, signal);
    const word = wordOfForm(form, brought, current?.call);
    if (word) words.push(word);
    return brought;
  }

  const { client } = createTestClient({
    name: sequence.clientName,
    ...(sequence.hasForms ? { onForm } : {}),
  });
  const patiently = <T>(work: (signal: AbortSignal) => Promise<T>) =>
    withPatience(time, RESOURCE_MS, undefined, work);
  return {
    async open(server) {
      const [clientSide, serverSide] = InMemoryTransport.createLinkedPair();
      const watched = tapTransport(serverSide, {
        out(message) {
          note(inspectMessage(message, key));
          return message;
        },
      });
      await Promise.all([
        server.connect(tapTransport(watched, sabotage.tap?.({ key }) ?? {})),
        client.connect(clientSide),
      ]);
      // With the schemas known, the client holds each answer against its own.
      await client.listTools();
    },
    async call(asked, { call, step, signal, timeoutMs }) {
      if (!step.aside) current = { call, step };
      return withPatience(time, timeoutMs, signal, (own) =>
        client.callTool(asked, undefined, {
          ...LIMITS,
          signal: own,
          ...(step.progress ? { onprogress: () => {} } : {}),
        }),
      ) as Promise<Told>;
    },
    readResource: (uri) => patiently((own) => client.readResource({ uri }, { ...LIMITS, signal: own })),
    listResources: () => patiently((own) => client.listResources(undefined, { ...LIMITS, signal: own })),
    subscribe: (uri) => client.subscribeResource({ uri }),
    complete(typed) {
      const ref = { type: "ref/resource" as const, uri: "automagik://runs/{run_id}" };
      const params = { ref, argument: { name: "run_id", value: typed } };
      return patiently((own) => client.complete(params, { ...LIMITS, signal: own }));
    },
    expectEnd() {},
    close: () => client.close(),
  };
}
