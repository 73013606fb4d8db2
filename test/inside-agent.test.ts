import { expect, test } from "vitest";
import { runBin, toVariables } from "./support/bin.js";

const INSIDE = { WORKFLOW_AGENT_MARK: "0123", ...toVariables({ API_KEY: "test-key" }) };

test.each([
  ["the server", []],
  ["the server for the engine of this machine", ["--engine", "local"]],
  ["the server over HTTP", ["serve", "--http-port", "0"]],
  ["an engine", ["engine", "--port", "0"]],
  ["the command that stops the engine", ["engine", "stop", "--force"]],
  ["the installation", ["install", "cursor", "--yes"]],
  ["the demo", ["demo"]],
])("%s does nothing when an agent starts it, and says why in one line", async (_what, args) => {
  const { code, stdout, stderr } = await runBin(args, INSIDE);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toMatch(/^automagik-workflows-mcp: Refused: this was started by an agent .*\n$/);
});

test("its version and its help can be read from inside an agent", async () => {
  expect(await runBin(["--version"], INSIDE)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^\d/),
  });
  expect(await runBin(["--help"], INSIDE)).toMatchObject({ code: 0 });
});
