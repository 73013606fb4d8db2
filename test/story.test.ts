import { expect, it, onTestFinished } from "vitest";
import { type ServeOptions, serveSimulatedApi } from "../mocks/serve.js";
import { type Bin, startBin, temporaryFolder } from "./support/bin.js";
import { until } from "./support/harness.js";

// The product's founding story, told to the published bin over stdio: every part of it in a server process of its
// own, with nothing in common but the state folder.
const NAME = "auth-system-project";
const PLACE = { repository_url: "https://host.example/team/auth.git", git_branch: "feature/login" };
const FEEDBACK = "Make sure to include refresh token rotation";

async function serve(options: ServeOptions) {
  const served = await serveSimulatedApi({ paceMs: "manual", ...options });
  onTestFinished(() => served.close());
  const { api } = served;
  return {
    ...served,
    newest: () => api.world.run(api.world.runs().at(-1)?.runId ?? ""),
    started: (count: number) => until(() => api.posts("/run/").length === count, `start number ${count}`),
  };
}

async function end(bin: Bin): Promise<void> {
  await bin.client.close();
  expect(await bin.ended()).toBe(0);
}

it("an architect's session takes feedback on the way and is handed on to implement and test", async () => {
  const { url, api, newest, started } = await serve({});
  const stateFolder = temporaryFolder();
  const told: string[] = [];
  const onprogress = ({ message }: { message?: string | undefined }) => {
    told.push(message ?? "");
  };

  const architect = await startBin({
    url,
    stateFolder,
    onForm: () => ({ action: "accept", content: { session_name: NAME, ...PLACE } }),
  });
  const designing = architect.call(
    { workflow_name: "architect", message: "Design the authentication system" },
    { onprogress },
  );
  await started(1);
  newest().turn("Reading the code");
  await until(() => told.at(-1) === "Turn 1/50: Reading the code", "the first turn");
  const feedback = architect.call({ action: "feedback", session_name: NAME, message: FEEDBACK });
  await api.waitFor((request) => request.path.endsWith("/message-queue"));
  newest().turn("Designing database schema");
  expect((await feedback).text).toMatch(/^Delivered/);
  await until(() => told.at(-1) === "Turn 2/50: Designing database schema", "the second turn");
  newest().complete({ result: "The design is in docs/auth.md", costUsd: 0.4 });
  const design = await designing;
  expect(told[0]).toBe(`Started architect as ${NAME}`);
  expect(design.data).toMatchObject({
    outcome: "completed",
    run: { session_name: NAME, turn: 2, result: expect.stringContaining("docs/auth.md") },
  });
  expect(design.text).toContain(FEEDBACK);
  const { session_id } = design.data.run;
  await end(architect);

  for (const [index, workflow_name] of ["implement", "test"].entries()) {
    const bin = await startBin({ url, stateFolder, onForm: () => ({ action: "decline" }) });
    const working = bin.call({ workflow_name, message: `Now ${workflow_name} it`, continue_session: NAME });
    await started(index + 2);
    newest().turn();
    newest().complete({ costUsd: 0.1 });
    const answer = await working;
    expect(answer.data).toMatchObject({ outcome: "completed", run: { workflow_name, session_id } });
    expect(api.posts("/run/").at(-1)?.body).toMatchObject({ session_id, session_name: NAME, ...PLACE });
    expect(bin.forms).toHaveLength(0);
    if (workflow_name === "test") {
      const list = await bin.call({ action: "list_sessions", active_only: false });
      expect(list.data.sessions).toMatchObject([
        { session_name: NAME, session_id, runs: 3, workflow_name: "test", turns: 4, cost_usd: 0.6, ...PLACE },
      ]);
    }
    await end(bin);
  }
  expect(api.posts("/run/").map((request) => request.path)).toEqual([
    "/run/architect",
    "/run/implement",
    "/run/test",
  ]);
});

it("on the public server every step of it ends in a true statement", async () => {
  const { url, api, newest, started, close } = await serve({ profile: "automagik-0.6" });
  const stateFolder = temporaryFolder();
  const settings = { INPUT_FORMAT: "text" };
  const told: string[] = [];

  const first = await startBin({
    url,
    stateFolder,
    settings,
    onForm: () => ({ action: "accept", content: { session_name: NAME, ...PLACE } }),
  });
  const designing = first.call(
    { workflow_name: "genie", message: "Design the authentication system" },
    { onprogress: ({ message }) => told.push(message ?? "") },
  );
  await started(1);
  newest().turn("an action that this server shows nobody");
  await until(() => told.at(-1) === "Turn 1/50", "the first turn");
  const feedback = await first.call({
    action: "feedback",
    session_name: NAME,
    message: FEEDBACK,
    wait_seconds: 0.5,
  });
  expect(feedback.text).toMatch(/^Accepted, not delivered so far/);
  newest().turn();
  const { sessionId: session_id } = newest().complete({ result: "Designed" });
  const design = await designing;
  expect(design.data).toMatchObject({ outcome: "completed", run: { turn: 2, max_turns: 50, session_id } });
  const queue = await first.call(feedback.data.next_step.arguments);
  expect(queue.data.queue).toMatchObject({ added: 1, consumed: 0 });
  await end(first);

  const second = await startBin({ url, stateFolder, settings });
  const known = await second.call({ action: "status", session_name: NAME });
  expect(known.data).toMatchObject({ outcome: "completed", run: { session_id, session_name: NAME } });
  const building = second.call({ workflow_name: "builder", message: "Build it", continue_session: NAME });
  await started(2);
  expect(api.posts("/run/").at(-1)?.body).toMatchObject({ session_id, session_name: NAME, ...PLACE });
  newest().turn();
  newest().complete();
  expect((await building).data.outcome).toBe("completed");
  await end(second);

  // Server and agent begin anew, so that only our own index knows what has been.
  await close();
  const renewed = await serve({ profile: "automagik-0.6", port: Number(new URL(url).port) });
  const third = await startBin({ url, stateFolder, settings });
  const testing = await third.call({ workflow_name: "guardian", message: "Test it", continue_session: NAME });
  expect(renewed.api.posts("/run/").at(-1)?.body).toMatchObject({ session_id, ...PLACE });
  expect(testing.data.outcome).toBe("failed");
  expect(testing.text).toContain("was not continued");
  const list = await third.call({ action: "list_sessions", active_only: false });
  expect(list.data.sessions).toMatchObject([
    { session_name: NAME, runs: 3, status: "failed", can_continue: false },
  ]);
  await end(third);
  expect([...api.posts("/run/"), ...renewed.api.posts("/run/")]).toHaveLength(3);
});
