import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { connectInMemory } from "./support/harness.js";

const sim = useSimulatedApi({ paceMs: 20 });
const TASK = { workflow_name: "architect", message: "Design the JWT login" };

beforeEach(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"] }));
afterEach(() => vi.useRealTimers());

it("a form left open is closed after ELICITATION_TIMEOUT with nothing sent, and shows signs of life until then", async () => {
  let opened = () => {};
  const isOpen = new Promise<void>((resolve) => {
    opened = resolve;
  });
  let closed = false;
  const { call } = await connectInMemory({
    settings: { ELICITATION_TIMEOUT: "95" },
    onForm: (_form, signal) => {
      opened();
      return new Promise((resolve) =>
        signal.addEventListener("abort", () => {
          closed = true;
          resolve({ action: "cancel" });
        }),
      );
    },
  });
  const beats: { progress: number; message?: string | undefined }[] = [];
  let answered = false;
  const pending = call(TASK, { onprogress: (one) => beats.push(one), timeoutMs: 600_000 }).then((answer) => {
    answered = true;
    return answer;
  });
  // Suggestions are looked for first, in real time.
  await isOpen;
  await vi.advanceTimersByTimeAsync(94_000);
  expect(answered).toBe(false);
  expect(beats).toHaveLength(9);
  expect(beats.map((one) => one.progress)).toEqual(
    [...beats.map((one) => one.progress)].sort((a, b) => a - b),
  );
  expect(beats[0]?.message).toMatch(/waiting for the person/i);
  await vi.advanceTimersByTimeAsync(2_000);
  const answer = await pending;
  expect(answer).toMatchObject({ isError: false, data: { outcome: "cancelled" } });
  expect(closed).toBe(true);
  expect(sim.api().posts("/run/")).toHaveLength(0);
});

it("a form answered after more than a minute counts", async () => {
  let answerForm = () => {};
  let opened = () => {};
  const isOpen = new Promise<void>((resolve) => {
    opened = resolve;
  });
  const { call } = await connectInMemory({
    onForm: () =>
      new Promise((resolve) => {
        opened();
        answerForm = () => resolve({ action: "accept", content: { session_name: "slow-person" } });
      }),
  });
  const pending = call({ ...TASK, wait_seconds: 0 }, { timeoutMs: 600_000 });
  await isOpen;
  await vi.advanceTimersByTimeAsync(90_000);
  answerForm();
  expect((await pending).data).toMatchObject({ outcome: "started", run: { session_name: "slow-person" } });
});

it.each([
  ["declined", { action: "decline" as const }, "The person declined."],
  ["cancelled", { action: "cancel" as const }, "The person closed the form."],
])(
  "a form that is %s faster than a person can was seen by nobody, and the answer says so",
  async (outcome, reply, byPerson) => {
    const instant = await connectInMemory({ onForm: () => reply });
    const unseen = await instant.call(TASK);
    expect(unseen.data.outcome).toBe(outcome);
    expect(unseen.data.summary).toContain("the form automatically; nobody saw it");
    expect(unseen.data.summary).toContain("call again with session_name, repository_url, git_branch");
    const slow = await connectInMemory({
      onForm: async () => {
        await vi.advanceTimersByTimeAsync(300);
        return reply;
      },
    });
    const seen = await slow.call(TASK);
    expect(seen.data).toMatchObject({ outcome, summary: expect.stringContaining(byPerson) });
    expect(seen.data).not.toHaveProperty("next_step");
    expect(sim.api().posts("/run/")).toHaveLength(0);
  },
);
