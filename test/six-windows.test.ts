import type { Progress } from "@modelcontextprotocol/sdk/types.js";
import { expect, it, onTestFinished } from "vitest";
import { type ContractClient, createContractClient } from "./contract/upstream.js";
import { COMPLETE, connectInMemory, type InMemoryOptions, until } from "./support/harness.js";
import { ENGINE_KEY, engineFolder, startLocalEngine, withScript } from "./support/local-engine.js";
import { createSkippingClock, type SkippingClock } from "./support/skipping-clock.js";

const MINUTE = 60_000;

/** Works until it gets a message. */
const WORKS = [{ text: "Working" }, { listen: 1 }, { text: "Done" }];
/** Asks for permission first. */
const ASKS = [
  { tools: [{ name: "Bash", input: { command: "npm publish" } }] },
  { text: "Working" },
  { listen: 1 },
  { text: "Done" },
];

interface Machine {
  clock: SkippingClock;
  direct: ContractClient;
  /** Opens a chat window with a server of its own, which starts a run and follows it. */
  open(name: string, steps: object[], options?: InMemoryOptions): Promise<Window>;
}

interface Window {
  name: string;
  /** What it has shown. */
  told: string[];
  shows(text: string | RegExp): Promise<unknown>;
  call: Awaited<ReturnType<typeof connectInMemory>>["call"];
  /** The answer of the call that follows the run. */
  answer: ReturnType<Awaited<ReturnType<typeof connectInMemory>>["call"]>;
}

async function createMachine(slots: number): Promise<Machine> {
  const place = engineFolder();
  const clock = createSkippingClock();
  const engine = await startLocalEngine(place.folder, { engineConcurrency: slots }, {}, { clock });
  onTestFinished(async () => {
    await engine.close();
    place.remove();
  });
  return {
    clock,
    direct: createContractClient({ url: engine.url, apiKey: ENGINE_KEY }),
    async open(name, steps, options = {}) {
      const told: string[] = [];
      const settings = { API_KEY: ENGINE_KEY, BASE_URL: engine.url, ...options.settings };
      const { call } = await connectInMemory({ ...options, settings });
      const answer = call(
        {
          ...COMPLETE,
          workflow_name: "implement",
          session_name: name,
          message: withScript("Do it", { steps }),
        },
        { onprogress: ({ message }: Progress) => told.push(message ?? ""), timeoutMs: 120_000 },
      );
      answer.catch(() => {});
      const shows = (text: string | RegExp) =>
        until(
          () => told.some((one) => (typeof text === "string" ? one === text : text.test(one))),
          `${name} to show ${text}; it has shown ${JSON.stringify(told)}`,
        );
      return { name, told, shows, call, answer };
    },
  };
}

const finish = ({ call, name }: Window) =>
  call({ action: "feedback", session_name: name, message: "Enough" });

it("two slots, six windows, one of them with a form that nobody sees: nobody waits for it longer than a minute", async () => {
  const { clock, direct, open } = await createMachine(2);
  const forms: (() => void)[] = [];
  const asks = await open("asks", ASKS, {
    // Nobody looks at it until the end of the test.
    onForm: () =>
      new Promise((resolve) => {
        forms.push(() => resolve({ action: "accept", content: { answer: "allow_once" } }));
      }),
  });
  await asks.shows(/^Turn 1\/50: Waiting for permission since .*npm publish/);
  const two = await open("two", WORKS);
  await two.shows("Turn 1/50: Working");
  const queued: Window[] = [];
  for (const name of ["three", "four", "five", "six"]) {
    const window = await open(name, WORKS);
    queued.push(window);
    await window.shows(`Waiting for a free slot, position ${queued.length} (2 of 2 busy: asks, two)`);
  }
  const [three, four, five, six] = queued as [Window, Window, Window, Window];
  const { text } = await six.call({ action: "status", session_name: "six" });
  expect(text).toContain("is pending: Waiting for a free slot, position 4 (2 of 2 busy: asks, two).");
  const { sessions } = (await six.call({ action: "list_sessions" })).data;
  expect(sessions.map((one: { session_name: string }) => one.session_name)).toEqual([
    "asks",
    "two",
    "three",
    "four",
    "five",
    "six",
  ]);
  expect(sessions).toContainEqual(
    expect.objectContaining({
      session_name: "five",
      waits_for_slot: "Waiting for a free slot, position 3 (2 of 2 busy: asks, two)",
      slot_position: 3,
    }),
  );

  clock.skip(MINUTE);
  await three.shows("Turn 1/50: Working");
  await four.shows("Waiting for a free slot, position 1 (2 of 2 busy: two, three)");
  await six.shows("Waiting for a free slot, position 3 (2 of 2 busy: two, three)");
  // Either of the two may stand there last: the form tells every ten seconds that it is open.
  expect(asks.told.at(-1)).toMatch(/^Turn 1\/50: Waiting for permission|^Waiting for the person's answer/);

  await finish(two);
  expect((await two.answer).data.outcome).toBe("completed");
  await four.shows("Turn 1/50: Working");

  // Now the person is back. Both slots are busy, and two runs have not begun: the answered one is next.
  expect(forms).toHaveLength(1);
  forms[0]?.();
  await asks.shows("Turn 1/50: Answered, waiting for a free slot, position 1 (2 of 2 busy: three, four)");
  await five.shows("Waiting for a free slot, position 2 (2 of 2 busy: three, four)");
  await finish(three);
  await asks.shows("Turn 2/50: Working");
  expect(five.told).not.toContain("Turn 1/50: Working");
  const { busy, asking, waiting } = (await direct.get("/slots")).body;
  const names = (runs: { session_name: string }[]) => runs.map((run) => run.session_name);
  expect([names(busy), names(asking), names(waiting)]).toEqual([["asks", "four"], [], ["five", "six"]]);

  for (const window of [four, asks, five, six]) {
    await window.shows(/^Turn .*: Working$/);
    await finish(window);
    expect((await window.answer).data.outcome).toBe("completed");
  }
});

it("says in about how long a run goes on, and how far it is, once it is known what is usual", async () => {
  const { clock, open } = await createMachine(1);
  for (const name of ["a", "b", "c"]) {
    const window = await open(name, [
      ...WORKS.slice(0, 2),
      { text: "More" },
      { text: "More" },
      { text: "Done" },
    ]);
    await window.shows("Turn 1/50: Working");
    clock.skip(4 * MINUTE);
    await finish(window);
    await window.answer;
  }
  const busy = await open("busy", [
    { text: "Working" },
    { listen: 1 },
    { text: "Then" },
    { listen: 2 },
    { text: "Done" },
  ]);
  await busy.shows("Turn 1 of about 4: Working");
  const next = await open("next", WORKS);
  await next.shows("Waiting for a free slot, position 1 (1 of 1 busy: busy), about 3 min");
  await finish(busy);
  await next.shows("Waiting for a free slot, position 1 (1 of 1 busy: busy), about 2 min");
  await finish(busy);
  await busy.answer;
  await next.shows("Turn 1 of about 4: Working");
  await finish(next);
  expect((await next.answer).data.outcome).toBe("completed");
});

it("a server's own limit counts a run that waits for its person for a minute, and again when it goes on", async () => {
  const { clock, open, direct } = await createMachine(4);
  const asks = await open("asks", ASKS, { clock, settings: { MAX_CONCURRENT_RUNS: "1" } });
  const { run } = (await asks.answer).data;
  function follow(name: string) {
    const told: string[] = [];
    const answer = asks.call(
      { ...COMPLETE, session_name: name, message: withScript("Do it", { steps: WORKS }) },
      { onprogress: ({ message }) => told.push(message ?? "") },
    );
    const shows = (text: RegExp) =>
      until(() => told.some((one) => text.test(one)), `${name} to show ${text}`);
    return { name, call: asks.call, told, answer, shows };
  }
  const next = follow("next");
  await next.shows(/^Queued, position 1 \(1 of 1 running\)$/);
  clock.skip(MINUTE);
  await next.shows(/^Turn .*: Working$/);

  const third = follow("third");
  await third.shows(/^Queued, position 1 \(1 of 1 running\)$/);
  const [question] = run.questions;
  await direct.post(`/run/${run.run_id}/questions/${question.question_id}/answer`, { answer: "allow_once" });
  await direct.until(run.run_id, (status) => status.current_action === "Working");
  // It goes on whatever the limit, and now two are counted: one that ends makes no room.
  clock.skip(10_000);
  await third.shows(/^Queued, position 1 \(2 of 1 running\)/);
  await finish(next);
  await next.answer;
  clock.skip(10_000);
  await third.shows(/^Queued, position 1 \(1 of 1 running\), for/);
  await asks.call({ action: "feedback", run_id: run.run_id, message: "Enough" });
  await third.shows(/^Turn .*: Working$/);
  await finish(third);
  expect((await third.answer).data.outcome).toBe("completed");
});
