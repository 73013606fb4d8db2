import type { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { COMPLETE, connectInMemory, WIDGETS } from "./support/harness.js";
import { CLAUDE } from "./support/modern-frames.js";
import { connectModern } from "./support/modern-server.js";

const sim = useSimulatedApi({ paceMs: "manual" });

const URI = "ui://automagik-workflows-mcp/widget.html";
const TYPE = "text/html;profile=mcp-app";
const CAPABILITIES = "io.modelcontextprotocol/clientCapabilities";
const WITH_WIDGETS = { ...CLAUDE, [CAPABILITIES]: { ...CLAUDE[CAPABILITIES], extensions: WIDGETS } };

type Named = { name: string; uri?: string; _meta?: { ui?: object } };
/** What a client of each protocol is told, with widgets or without. */
const LEGS: [
  string,
  (widgets: boolean) => Promise<{ ask: (method: string, params?: object) => Promise<unknown> }>,
][] = [
  [
    "the earlier protocol",
    async (widgets) => {
      const { client } = await connectInMemory(widgets ? { widgets: true } : {});
      const asked: Record<string, (params: never) => Promise<unknown>> = {
        "tools/list": () => client.listTools(),
        "resources/list": () => client.listResources(),
        "resources/read": (params) => client.readResource(params),
      };
      return { ask: async (method, params) => asked[method]?.(params as never) };
    },
  ],
  [
    "protocol 2026-07-28",
    async (widgets) => {
      const { request } = connectModern(widgets ? { about: WITH_WIDGETS } : {});
      return { ask: async (method, params) => (await request(method, params)).result };
    },
  ],
];

describe.each(LEGS)("on %s", (_name, connect) => {
  const list = async (ask: (method: string) => Promise<unknown>) => [
    ((await ask("tools/list")) as { tools: Named[] }).tools,
    ((await ask("resources/list")) as { resources: Named[] }).resources,
  ];

  it("a client that shows widgets is told of the page, and of a tool that is not for its model", async () => {
    const { ask } = await connect(true);
    const [tools = [], resources = []] = await list(ask);
    expect(tools.map(({ name, _meta }) => [name, _meta?.ui])).toEqual([
      ["orchestrate_workflow", { resourceUri: URI }],
      ["refresh_widget", { visibility: ["app"] }],
    ]);
    expect(resources.filter(({ uri }) => uri === URI)).toMatchObject([{ mimeType: TYPE }]);
  });

  it("for any other client nothing has changed", async () => {
    const { ask } = await connect(false);
    const [tools = [], resources = []] = await list(ask);
    expect(tools.map(({ name }) => name)).toEqual(["orchestrate_workflow"]);
    expect(JSON.stringify([tools, resources])).not.toMatch(/"ui"|ui:\/\//);
    expect(resources.length).toBeGreaterThan(1);
  });

  it("the page is read with its type, and names no domain", async () => {
    const { ask } = await connect(true);
    const { contents } = (await ask("resources/read", { uri: URI })) as { contents: object[] };
    expect(contents).toMatchObject([
      { uri: URI, mimeType: TYPE, text: expect.stringMatching(/^<!doctype html>/) },
    ]);
    expect(contents[0]).toMatchObject({
      _meta: {
        ui: { csp: { connectDomains: [], resourceDomains: [], frameDomains: [], baseUriDomains: [] } },
      },
    });
  });
});

it("of tools of their own, only those have the widget after which something is to be watched", async () => {
  const { client } = await connectInMemory({ settings: { TOOLSET: "named" }, widgets: true });
  const { tools } = await client.listTools();
  const shown = tools.filter(({ _meta }) => (_meta?.ui as { resourceUri?: string })?.resourceUri === URI);
  expect(shown.map(({ name }) => name).sort()).toEqual(["get_session_status", "run_plan", "run_workflow"]);
});

it("on protocol 2026-07-28 the widget's tool is called as any other", async () => {
  const { call } = connectModern({ about: WITH_WIDGETS });
  const started = await call({ action: "run", ...COMPLETE, wait_seconds: 0 });
  const { run_id } = started.result.structuredContent.run;
  const { result } = await call({ run_id }, { name: "refresh_widget" });
  expect(result.structuredContent.view.run).toMatchObject({ runId: run_id, status: "running" });
});

describe("the tool by which the widget looks again", () => {
  const look = async (client: Client, given: object) => {
    const result = await client.callTool({ name: "refresh_widget", arguments: { ...given } });
    const [block] = result.content as { text: string }[];
    // biome-ignore lint/suspicious/noExplicitAny: the view is checked field by field
    return { isError: result.isError === true, text: block?.text, data: result.structuredContent as any };
  };

  it.each([
    ["super", { tool: "orchestrate_workflow", arguments: { action: "kill" } }],
    ["named", { tool: "kill_run", arguments: {} }],
  ])("of toolset %s tells the run and what carries its buttons, and sends nothing", async (toolset, kill) => {
    const { client, call } = await connectInMemory({ settings: { TOOLSET: toolset }, widgets: true });
    const args = { ...COMPLETE, wait_seconds: 0 };
    const started =
      toolset === "super"
        ? await call({ action: "run", ...args })
        : await call(args, { tool: "run_workflow" });
    const { run_id } = started.data.run;
    const posts = sim.api().posts(/./).length;
    const hostile = `Writes \u001b[31m${"x".repeat(5_000)}`;
    sim.api().world.run(run_id).turn(hostile);
    for (const given of [{ run_id }, { session_name: COMPLETE.session_name }]) {
      const { text, data } = await look(client, given);
      expect(text).toBe("auth-system-project: running.");
      expect(data.view).toMatchObject({
        run: { runId: run_id, status: "running", turn: 1, may: expect.arrayContaining(["kill"]) },
        calls: { kill },
      });
      expect(data.view.run.action.length).toBeLessThanOrEqual(300);
      expect(data.view.run.action).not.toContain("\u001b");
      expect(Object.keys(data.view.calls).sort()).toEqual(["answer", "feedback", "kill", "plan"]);
    }
    expect(sim.api().posts(/./)).toHaveLength(posts);
  });

  it.each([
    ["nothing", {}, "Say which run or plan is meant: run_id or plan_id."],
    ["a run that is not there", { run_id: "no-such" }, /^The workflows API does not know the run no-such/],
    ["a session that is not there", { session_name: "nobody" }, 'No run of the session "nobody" goes on.'],
    [
      "a text that is too long",
      { run_id: "x".repeat(501) },
      "The arguments are texts of at most 500 characters.",
    ],
    ["a number", { plan_id: 7 }, "The arguments are texts of at most 500 characters."],
  ])("says of %s what is wrong", async (_name, given, expected) => {
    const { client } = await connectInMemory({ widgets: true });
    const { isError, text } = await look(client, given);
    expect(isError).toBe(true);
    expect(text).toMatch(expected);
  });
});
