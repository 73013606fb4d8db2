import { describe, expect, test } from "vitest";
import { readCommandLine } from "../src/cli/command-line.js";
import { renderHelp } from "../src/cli/help.js";
import { listSettingFlags } from "../src/settings/entries.js";
import { SettingsError } from "../src/settings/settings.js";
import { spawnBin, temporaryFolder } from "./support/bin.js";

function refusal(...args: string[]): string {
  try {
    readCommandLine(args);
  } catch (error) {
    expect(error).toBeInstanceOf(SettingsError);
    return (error as Error).message;
  }
  throw new Error("It was not refused.");
}

describe("the command line", () => {
  test("serves stdio when it says nothing", () => {
    expect(readCommandLine([])).toEqual({ command: "stdio", flags: {} });
  });

  test.each(["stdio", "serve", "demo", "engine"] as const)("takes the command %s", (command) => {
    expect(readCommandLine([command])).toEqual({ command, flags: {} });
  });

  test.each([
    ["help", "--help"],
    ["help", "-h"],
    ["version", "--version"],
    ["version", "-v"],
  ])("asks for %s by %s, whatever else it says", (command, flag) => {
    expect(readCommandLine([flag])).toEqual({ command, flags: {} });
    expect(readCommandLine(["demo", "--timeout", "5", flag])).toEqual({ command, flags: {} });
  });

  test("takes every setting as a flag, with its value behind a space or an equals sign", () => {
    for (const flag of listSettingFlags()) {
      expect(readCommandLine([`--${flag}`, "x"]).flags).toEqual({ [flag]: "x" });
      expect(readCommandLine([`--${flag}=x=y`]).flags).toEqual({ [flag]: "x=y" });
      expect(readCommandLine([`--${flag}=`]).flags).toEqual({ [flag]: "" });
    }
  });

  test("takes the engine of a demo with and without its name, and agreement beforehand", () => {
    for (const args of [["--engine"], ["--engine", "local"], ["--engine=local"]])
      expect(readCommandLine(["demo", ...args])).toEqual({ command: "demo", flags: { engine: "local" } });
    expect(readCommandLine(["demo", "--engine", "--yes"])).toMatchObject({
      yes: true,
      flags: { engine: "local" },
    });
    expect(refusal("stdio", "--engine")).toBe("--engine: a value is missing");
    expect(refusal("--yes")).toBe(
      "--yes belongs to the commands demo, install, sessions resume, sessions clean, sessions take, sessions discard, " +
        "plan approve, plan stop, plan redo, plan kill, plan edit and history delete; see --help",
    );
  });

  test("takes flags before and after the command, and the last of several", () => {
    expect(readCommandLine(["--timeout", "60", "stdio", "--max-turns=5", "--timeout=90"])).toEqual({
      command: "stdio",
      flags: { timeout: "90", "max-turns": "5" },
    });
  });

  test("takes a value that begins with dashes only behind an equals sign", () => {
    expect(readCommandLine(["--api-key=--x"]).flags).toEqual({ "api-key": "--x" });
    expect(refusal("--api-key", "--log-level", "debug")).toBe("--api-key: a value is missing");
    expect(refusal("--api-key")).toBe("--api-key: a value is missing");
  });

  test("names the nearest flag or command for an unknown one", () => {
    expect(refusal("--time-out", "60")).toBe("unknown flag --time-out; --timeout may be meant; see --help");
    expect(refusal("--base_url=http://x")).toContain("--base-url may be meant");
    expect(refusal("--no-toolset")).toContain("unknown flag --no-toolset");
    expect(refusal("-x")).toBe("unknown flag -x; see --help");
    expect(refusal("stido")).toBe("unknown command; stdio may be meant; see --help");
    expect(refusal("sever")).toBe("unknown command; serve may be meant; see --help");
  });

  test("takes one command only", () => {
    expect(refusal("stdio", "demo")).toBe("one command only, not stdio and demo; see --help");
  });

  test("takes the engine's commands of two words", () => {
    expect(readCommandLine(["engine", "status"])).toEqual({ command: "engine status", flags: {} });
    expect(readCommandLine(["--log-level=debug", "engine", "stop"])).toEqual({
      command: "engine stop",
      flags: { "log-level": "debug" },
    });
    expect(refusal("engine", "stpo")).toBe("unknown command; engine stop may be meant; see --help");
    expect(refusal("status")).toMatch(/^unknown command/);
    expect(refusal("engine", "demo")).toBe("one command only, not engine and demo; see --help");
    expect(refusal("engine", "stop", "demo")).toBe("one command only, not engine stop and demo; see --help");
  });

  test("takes what stands behind a command of sessions", () => {
    expect(readCommandLine(["sessions"])).toEqual({ command: "sessions", flags: {} });
    expect(readCommandLine(["sessions", "show", "status", "--follow"])).toEqual({
      command: "sessions show",
      flags: {},
      operands: ["status"],
      follow: true,
    });
    expect(readCommandLine(["sessions", "resume", "jwt", "go on", "--yes"])).toMatchObject({
      command: "sessions resume",
      operands: ["jwt", "go on"],
      yes: true,
    });
    expect(refusal("sessions", "show")).toContain("a session's name or a run's id");
    expect(refusal("sessions", "resume", "jwt", "go", "on")).toContain("a message in quotes");
    expect(refusal("sessions", "shwo", "jwt")).toBe(
      "unknown command; sessions show may be meant; see --help",
    );
  });

  test("takes what stands behind a command of plans, and a flag several times where each says something else", () => {
    expect(readCommandLine(["plan", "check", "a.yaml", "--input", "x=1", "--input=y=2=3"])).toEqual({
      command: "plan check",
      flags: {},
      operands: ["a.yaml"],
      input: ["x=1", "y=2=3"],
    });
    expect(readCommandLine(["plan", "send-back", "ship", "ok", "Smaller"])).toMatchObject({
      operands: ["ship", "ok", "Smaller"],
    });
    expect(refusal("plan", "send-back", "ship")).toContain(
      "in quotes what should change has to stand behind it",
    );
    expect(refusal("plan", "foo")).toMatch(
      /^unknown command; behind plan there are run, templates, .*save; see --help$/,
    );
    expect(refusal("plan", "aprove", "ship")).toContain("plan approve may be meant");
  });

  test("takes the engine's own flags with their command only", () => {
    expect(readCommandLine(["engine", "--port", "1234", "--host=::1"])).toEqual({
      command: "engine",
      flags: { "engine-port": "1234", "engine-host": "::1" },
    });
    expect(readCommandLine(["engine", "--background"])).toMatchObject({ background: true });
    expect(readCommandLine(["engine", "stop", "--force"])).toMatchObject({ force: true });
    expect(refusal("--port", "1")).toBe("--port belongs to the commands engine and serve; see --help");
    expect(refusal("--background")).toBe("--background belongs to the command engine; see --help");
    expect(refusal("engine", "--force")).toBe("--force belongs to the command engine stop; see --help");
    expect(refusal("engine", "stop", "--force=SECRET")).toBe("--force: takes no value");
  });

  test("takes the flags of serve, which --transport http also asks for", () => {
    const flags = { "http-port": "1234", "http-host": "::1" };
    expect(readCommandLine(["serve", "--port", "1234", "--host=::1"])).toEqual({ command: "serve", flags });
    expect(readCommandLine(["--port", "1234", "--host=::1", "--transport", "http"])).toEqual({
      command: "serve",
      flags,
    });
    expect(readCommandLine(["--transport", "stdio"])).toEqual({ command: "stdio", flags: {} });
    expect(readCommandLine(["serve", "--transport=http"])).toEqual({ command: "serve", flags: {} });
    expect(readCommandLine(["serve", "--sse"])).toMatchObject({ sse: true });
    expect(refusal("--sse")).toBe("--sse belongs to the command serve; see --help");
    expect(refusal("--transport", "httpStream")).toBe(
      "--transport: the value is not allowed; allowed: stdio or http",
    );
    expect(refusal("stdio", "--transport=http")).toBe(
      "--transport http contradicts the command stdio; see --help",
    );
    expect(refusal("demo", "--transport=stdio")).toContain("contradicts the command demo");
  });

  test("knows none of the framework's own flags", () => {
    for (const flag of ["--endpoint", "--base-path", "--stateless"])
      expect(refusal("serve", flag, "x")).toContain(`unknown flag ${flag}`);
  });

  test("never repeats what may be a key", () => {
    for (const args of [
      ["--api-kee=SECRET"],
      ["--apikey", "SECRET"],
      ["-api-key=SECRET"],
      ["-kSECRET"],
      ["--api-key", "one", "SECRET"],
      ["stdio", "SECRET-demo"],
      ["engine", "SECRET-stop"],
      ["engine", "stop", "SECRET-stop"],
      ["--api-key", "--SECRET"],
    ]) {
      expect(refusal(...args), args.join(" ")).not.toContain("SECRET");
    }
  });
});

test("the help names every flag and command, and where the key belongs", () => {
  const help = renderHelp();
  for (const flag of listSettingFlags()) expect(help).toContain(`--${flag}`);
  expect(help).toMatch(/automagik-workflows-mcp {2,}\S/);
  for (const command of ["serve", "demo", "engine", "engine status", "engine stop"]) {
    expect(help).toContain(`automagik-workflows-mcp ${command}`);
  }
  for (const flag of ["--port", "--host", "--background", "--force", "--sse", "--transport"])
    expect(help).toContain(flag);
  expect(help).toContain("AUTOMAGIK_WORKFLOWS_API_KEY");
  expect(help.endsWith("\n")).toBe(true);
});

describe("install and doctor", () => {
  test("install takes the client, and its own switches", () => {
    expect(readCommandLine(["install", "vscode", "--print", "--project", "--name", "flows"])).toMatchObject({
      command: "install",
      client: "vscode",
      print: true,
      project: true,
      name: "flows",
    });
    expect(() => readCommandLine(["install"])).toThrow(
      "the client is missing: claude-code, claude-desktop, cursor, vscode, goose or codex",
    );
    expect(() => readCommandLine(["install", "vscode", "goose"])).toThrow(SettingsError);
    expect(() => readCommandLine(["doctor", "--print"])).toThrow(
      "--print belongs to the commands install and plan save",
    );
  });

  test("doctor takes --json", () => {
    expect(readCommandLine(["doctor", "--json"])).toMatchObject({ command: "doctor", json: true });
    expect(() => readCommandLine(["--json"])).toThrow(
      "--json belongs to the commands doctor, engine status, engine cost, workflows, sessions, ",
    );
  });
});

test.each([["--help"], ["history"], ["workflows", "--json"]])(
  "%s ends without a word when nobody reads what it prints any more",
  async (...args) => {
    const { child, ended, stderr } = spawnBin(args, {
      HOME: temporaryFolder(),
      // Nothing listens there.
      AUTOMAGIK_WORKFLOWS_BASE_URL: "http://127.0.0.1:9",
      AUTOMAGIK_WORKFLOWS_API_KEY: "test-key",
    });
    child.stdout.destroy();
    expect(await ended()).toEqual(expect.any(Number));
    expect(stderr()).not.toMatch(/EPIPE|\bat .*\d+:\d+|Unexpected/);
  },
);
