import { InteractionResponseType } from "discord-api-types/v10";
import { expect, it, onTestFinished, vi } from "vitest";
import { DISCORD_TOKEN, type FakeDiscord, startFakeDiscord } from "../mocks/integrations/discord.js";
import { createDiscordAskTarget } from "../src/integrations/discord/ask-target.js";
import { createVendorHttp } from "../src/integrations/vendor-http.js";
import { systemClock } from "../src/shared/clock.js";
import { type AskedOutside, askOutside, GATED_PLAN } from "./support/asked-outside.js";
import { until } from "./support/harness.js";

const ANN = { id: "111", name: "Ann" };
const STRANGER = { id: "666", name: "Mallory" };

async function begin() {
  const discord = await startFakeDiscord();
  onTestFinished(() => discord.close());
  const asked = await askOutside({
    DISCORD_BOT_TOKEN: DISCORD_TOKEN,
    DISCORD_URL: discord.url.concat("/api"),
    DISCORD_CHANNEL: "222",
    DISCORD_ANSWERERS: "111",
  });
  return { discord, ...asked };
}

const untilShown = (discord: FakeDiscord, text: string) =>
  until(
    () => discord.messages.some(({ content }) => content?.includes(text)) && discord.connections() > 0,
    text,
  );
const untilStatus = (call: AskedOutside["call"], plan_id: string, status: string) =>
  vi.waitFor(
    async () =>
      expect((await call({ action: "status", plan_id, wait_seconds: 0 })).data.plan?.status).toBe(status),
    { timeout: 30_000 },
  );

it("a gate is asked in Discord once, though the answer to the post was lost; the right button goes on with the plan", async () => {
  const { discord, world, begin: beginPlan, call } = await begin();
  await until(() => discord.identified() === 1, "the session");
  discord.faults.push({ kind: "lost-answer" });
  world.script({ result: "A design @everyone" });
  const { data } = await beginPlan(GATED_PLAN);
  await untilShown(discord, "Build this?");
  const posts = () => discord.requests.filter(({ path }) => path.endsWith("/messages")).length;
  await until(() => posts() === 2, "the post to be sent again, under the same key");
  expect(discord.messages[0]).toMatchObject({ channel: "222", allowed_mentions: { parse: [] } });
  discord.press("Approve", STRANGER);
  await until(() => discord.whispers.length > 0, "the refusal");
  expect(discord.whispers[0]).toBe("You are not among those who may answer here. Nothing was changed.");
  discord.press("Approve", ANN);
  await untilStatus(call, data.plan.plan_id, "completed");
  await untilShown(discord, "Ann by Discord\\: Approved at gate ok.");
  expect(discord.messages).toHaveLength(1);
  expect(discord.messages[0]?.components).toEqual([]);
  // Each click was acknowledged before it was decided.
  expect(discord.callbacks).toEqual([
    InteractionResponseType.DeferredMessageUpdate,
    InteractionResponseType.DeferredMessageUpdate,
  ]);
});

it("words that send a gate back are written in a form, also behind what nobody understands", async () => {
  const { discord, world, begin: beginPlan } = await begin();
  world.script({ result: "A design" });
  await beginPlan(GATED_PLAN);
  await untilShown(discord, "Build this?");
  await until(() => discord.identified() === 1, "the session");
  discord.nonsense();
  await until(() => discord.resumed() === 1, "the session to go on");
  discord.press("Send back", ANN);
  await until(() => discord.forms.length > 0, "the form");
  discord.submit("Use JWT", ANN);
  await untilShown(discord, "Sent back at gate ok\\: Use JWT.");
  await until(() => discord.whispers.length > 0, "the word to who has sent them");
  expect(discord.whispers).toEqual(["Your answer is being given."]);
});

it("a connection that Discord ends, or that is lost, goes on with its session", async () => {
  const { discord, world, begin: beginPlan, call } = await begin();
  await until(() => discord.identified() === 1, "the session");
  discord.reconnect();
  await until(() => discord.resumed() === 1, "the session to go on");
  discord.drop();
  await until(() => discord.resumed() === 2, "the session to go on again");
  expect(discord.identified()).toBe(1);
  world.script({ result: "A design" });
  const { data } = await beginPlan(GATED_PLAN);
  await untilShown(discord, "Build this?");
  discord.press("Approve", ANN);
  await untilStatus(call, data.plan.plan_id, "completed");
});

it("one whose post was lost and that is over meanwhile is found by its key, and edited", async () => {
  const discord = await startFakeDiscord();
  onTestFinished(() => discord.close());
  const target = createDiscordAskTarget({
    base: `${discord.url}/api/v10`,
    http: async () => createVendorHttp({ service: "Discord", clock: systemClock }),
    token: async () => DISCORD_TOKEN,
    channel: "222",
  });
  const open = {
    code: "c".repeat(24),
    title: "Build this?",
    about: "",
    detail: "",
    choices: [{ title: "Stop" }],
  };
  const deliver = (payload: object, mayHaveBeenSent: boolean) =>
    target.deliver(
      { id: "ask/c", kind: "question", payload, tries: 1, mayHaveBeenSent },
      new AbortController().signal,
    );
  discord.faults.push({ kind: "lost-answer" });
  await expect(deliver(open, false)).rejects.toThrow("gave no answer");
  expect(await deliver({ ...open, outcome: "Stopped in a chat." }, true)).toEqual({
    remoteId: `222 ${discord.messages[0]?.id}`,
  });
  expect(discord.messages).toMatchObject([
    { content: expect.stringContaining("Stopped in"), components: [] },
  ]);
});
