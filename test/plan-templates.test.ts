import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { openTemplates } from "../src/plan-templates/open-templates.js";
import type { TemplatePlace, Templates } from "../src/plan-templates/templates.js";
import { systemClock } from "../src/shared/clock.js";
import { type GitPlace, makeGitPlace } from "./support/git-place.js";
import { asLongAs } from "./support/patient.js";

const plan = (task = "Do it") =>
  `description: A plan of mine\ninputs: { goal: { type: string, required: true } }\nsteps: [{ id: one, run: fix, task: "${task} \${inputs.goal}" }]\n`;
const IN_REPOSITORY = ".automagik/plans";

let place: GitPlace;
let own: string;
let state: string;
beforeEach(() => {
  place = makeGitPlace();
  onTestFinished(() => place.remove());
  own = join(place.folder, "config", "plans");
  state = join(place.folder, "state");
});

interface Given {
  readsFolders?: boolean;
  allows?: (repositoryUrl: string) => boolean;
}

function open({ readsFolders = true, allows }: Given = {}): Templates {
  return openTemplates({
    offers: () => false,
    ownFolder: own,
    stateFolder: state,
    readsFolders,
    allows,
    env: { ...place.env, GIT_SSH_COMMAND: localSsh(), GIT_SSH_VARIANT: "ssh" },
    clock: systemClock,
  });
}

/** What ssh would do on the other machine, done here: the last argument is the command to run. */
function localSsh(): string {
  const path = join(place.folder, "ssh.sh");
  writeFileSync(path, '#!/bin/sh\nfor last; do :; done\neval "exec $last"\n', { mode: 0o755 });
  return path;
}

function writeOwn(files: Record<string, string>): void {
  mkdirSync(own, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(own, name), text);
}

/** Both ways to one repository: its path, and an address at a host. */
const addresses = () => [place.source, `ssh://localhost${place.source}`];

async function names(templates: Templates, at?: TemplatePlace): Promise<string[]> {
  return (await templates.list(at)).filter(({ source }) => source !== "built-in").map(({ name }) => name);
}

test("a template in the configuration folder is seen at once, with what it asks for", async () => {
  const templates = open();
  expect(await names(templates)).toEqual([]);
  writeOwn({ "mine.yaml": plan() });
  expect((await templates.list()).find(({ name }) => name === "mine")).toEqual({
    name: "mine",
    source: "configuration",
    description: "A plan of mine",
    inputs: { goal: { type: "string", required: true } },
  });
  expect(await templates.find("mine")).toMatchObject({
    text: plan(),
    from: "your own plans",
    isTrusted: true,
  });
  expect(await templates.find("nothing")).toBeUndefined();
});

test("what is no template is left out with the reason, and keeps no other from being used", async () => {
  writeOwn({
    "good.yaml": plan(),
    "typo.yaml": "steps: [{ id: one, runn: fix, task: Go }]",
    "large.yaml": `# ${"x".repeat(300 * 1024)}\n${plan()}`,
    "Wrong Name.yaml": plan(),
    "other.yml": plan(),
    "README.md": "Not a template",
  });
  symlinkSync("/etc/hostname", join(own, "link.yaml"));
  const problems = (await open().list()).flatMap(({ name, problem }) =>
    problem ? [`${name}: ${problem}`] : [],
  );
  expect(problems).toEqual([
    expect.stringMatching(/^Wrong Name.yaml: .*its name must have small letters/),
    expect.stringMatching(/^large: .*larger than 256 KiB/),
    expect.stringMatching(/^link: .*it is a link/),
    expect.stringMatching(/^other.yml: .*must end in .yaml/),
    expect.stringMatching(/^typo: .*"run" may be meant/),
  ]);
  expect(await open().find("good")).toMatchObject({ isTrusted: true });
  await expect(open().find("link")).rejects.toThrow(/it is a link; put the file itself there/);
});

test("a repository's templates are those of the commit at which runs begin, not of what is checked out", async () => {
  place.commit(place.source, { [`${IN_REPOSITORY}/release.yaml`]: plan("Release") });
  place.git(place.source, "branch", "older");
  place.commit(place.source, { [`${IN_REPOSITORY}/release.yaml`]: plan("Release carefully") });
  const commit = place.git(place.source, "rev-parse", "main");
  const scratch = join(place.folder, "scratch");
  mkdirSync(scratch);
  vi.stubEnv("TMPDIR", scratch);
  onTestFinished(() => void vi.unstubAllEnvs());
  place.write(place.source, `${IN_REPOSITORY}/release.yaml`, plan("Not committed"));
  place.write(place.source, `${IN_REPOSITORY}/new.yaml`, plan());
  for (const repositoryUrl of addresses()) {
    const templates = open();
    expect(await names(templates, { repositoryUrl })).toEqual(["release"]);
    expect(await templates.find("release", { repositoryUrl })).toMatchObject({
      text: plan("Release carefully"),
      from: `the repository at commit ${commit.slice(0, 7)}`,
      isTrusted: false,
    });
    const older = await templates.find("release", { repositoryUrl, gitBranch: "older" });
    expect(older?.text).toBe(plan("Release"));
    // A branch that is to be made begins where the default one stands.
    const made = await templates.find("release", { repositoryUrl, gitBranch: "to-be-made" });
    expect(made?.text).toBe(plan("Release carefully"));
  }
  expect(await names(open())).toEqual([]);
  expect(readdirSync(scratch)).toEqual([]);
});

test("a template of a repository is trusted when a person has agreed to this text for this repository", async () => {
  place.commit(place.source, { [`${IN_REPOSITORY}/release.yaml`]: plan() });
  const [repositoryUrl, elsewhere] = addresses();
  const look = async (at = repositoryUrl) => {
    const found = await open().find("release", { repositoryUrl: at });
    if (!found) throw new Error("There is no such template.");
    return found;
  };
  await open().trust(await look());
  expect((await look()).isTrusted).toBe(true);
  expect((await look(elsewhere)).isTrusted).toBe(false);
  place.commit(place.source, { [`${IN_REPOSITORY}/release.yaml`]: plan("Do more") });
  expect((await look()).isTrusted).toBe(false);
  writeFileSync(join(state, "trusted-templates.json"), "damaged");
  const templates = open();
  const found = await look();
  await expect(templates.trust(found)).rejects.toThrow(/cannot be read. Mend it, or remove it/);
  // It has been agreed to all the same, as long as this process lives.
  expect(await templates.find("release", { repositoryUrl })).toMatchObject({ isTrusted: true });
});

test("a repository's template never takes the place of another one, and that is told", async () => {
  writeOwn({ "mine.yaml": plan("Mine") });
  place.commit(place.source, {
    [`${IN_REPOSITORY}/mine.yaml`]: plan("Theirs"),
    [`${IN_REPOSITORY}/ship-feature.yaml`]: plan("Theirs"),
  });
  const at = { repositoryUrl: place.source };
  const templates = open();
  const mine = await templates.find("mine", at);
  expect(mine).toMatchObject({ source: "configuration", text: plan("Mine"), isTrusted: true });
  expect(mine?.note).toMatch(
    /The repository has a template "mine", which is not taken: your own has its name/,
  );
  const shipped = await templates.find("ship-feature", at);
  expect(shipped).toMatchObject({ source: "built-in", isTrusted: true });
  expect(shipped?.note).toMatch(/which is not taken: the one that comes with this product has its name/);
  const told = (await templates.list(at)).filter(({ source }) => source === "repository");
  expect(told.map(({ name, problem }) => [name, /is not taken/.test(String(problem))])).toEqual([
    ["mine", true],
    ["ship-feature", true],
  ]);
  writeOwn({ "ship-feature.yaml": plan("My way") });
  expect(await templates.find("ship-feature")).toMatchObject({
    text: plan("My way"),
    source: "configuration",
  });
});

test("nothing in a repository leads out of it or is carried out", async () => {
  const mark = join(place.folder, "carried-out");
  mkdirSync(join(place.source, IN_REPOSITORY), { recursive: true });
  symlinkSync("/etc/hostname", join(place.source, IN_REPOSITORY, "link.yaml"));
  mkdirSync(join(place.source, IN_REPOSITORY, "folder.yaml"));
  place.write(place.source, `${IN_REPOSITORY}/folder.yaml/inner.yaml`, plan());
  place.write(place.source, `${IN_REPOSITORY}/large.yaml`, `# ${"x".repeat(300 * 1024)}\n${plan()}`);
  place.write(place.source, `${IN_REPOSITORY}/good.yaml`, plan());
  place.write(place.source, ".gitattributes", "*.yaml diff=evil filter=evil\n");
  for (const key of ["diff.evil.textconv", "filter.evil.smudge", "core.fsmonitor", "core.sshCommand"])
    place.git(place.source, "config", key, `touch ${mark}; cat`);
  place.git(place.source, "-c", "core.fsmonitor=", "add", ".");
  place.git(place.source, "-c", "core.fsmonitor=", "commit", "-qm", "Add plans");
  for (const repositoryUrl of addresses()) {
    const list = (await open().list({ repositoryUrl })).filter(({ source }) => source === "repository");
    expect(list.map(({ name, problem = "" }) => [name, problem.replace(/^.*left out: /, "")])).toEqual([
      ["good", ""],
      ["large", "it is larger than 256 KiB."],
      ["link", "it is a link; commit the file itself there."],
    ]);
  }
  expect(existsSync(mark)).toBe(false);
});

test("a repository with templates by the megabyte is read up to a bound, and the rest is told", async () => {
  const hostile = `steps:\n${"  - { id: a, run: fix }\n".repeat(9_000)}`;
  const files = Array.from({ length: 8 }, (_, at) => [`${IN_REPOSITORY}/t${at}.yaml`, hostile]);
  place.commit(place.source, Object.fromEntries(files));
  const listed = (await open().list({ repositoryUrl: place.source })).filter(
    ({ source }) => source === "repository",
  );
  const left = listed.filter(({ problem }) => problem?.includes("larger than 1024 KiB together"));
  expect(listed).toHaveLength(8);
  expect(left.map(({ name }) => name)).toEqual(["t5", "t6", "t7"]);
});

test("a repository that cannot be read is told where it alone may have the template", async () => {
  const at = { repositoryUrl: "ssh://localhost/nowhere/at/all" };
  const templates = open();
  await expect(templates.find("release", at)).rejects.toThrow(
    /repository's own plans .* cannot be read: Git cannot reach it, or may not read it\.$/,
  );
  expect(await templates.find("ship-feature", at)).toMatchObject({ source: "built-in" });
  expect((await templates.list(at)).at(-1)).toMatchObject({
    name: "",
    problem: expect.stringMatching(/cannot be read/),
  });
});

test("a repository that does not answer holds nobody up who begins another template", async () => {
  const templates = openTemplates({
    offers: () => false,
    ownFolder: own,
    stateFolder: state,
    readsFolders: true,
    env: { ...place.env, GIT_SSH_COMMAND: "sleep 60;", GIT_SSH_VARIANT: "simple" },
    clock: systemClock,
  });
  const began = performance.now();
  const found = await templates.find("ship-feature", { repositoryUrl: "ssh://localhost/nowhere" });
  expect(found).toMatchObject({ source: "built-in" });
  const tookMs = performance.now() - began;
  expect(tookMs).toBeLessThan(await asLongAs(15_000));
});

test("a server for others looks at no folder of its machine, and only at the hosts that it may", async () => {
  place.commit(place.source, { [`${IN_REPOSITORY}/release.yaml`]: plan() });
  const templates = open({ readsFolders: false, allows: () => false });
  for (const repositoryUrl of addresses()) expect(await names(templates, { repositoryUrl })).toEqual([]);
});
