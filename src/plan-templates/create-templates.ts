import { createHash } from "node:crypto";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { setBounded } from "../shared/bounded-map.js";
import type { Clock } from "../shared/clock.js";
import { stopAtDeadline } from "../shared/deadline.js";
import { readFolder } from "./read-folder.js";
import type { RepositoryReader, RepositoryTemplates } from "./read-repository.js";
import { describeFile, type TemplateFile, tellReason } from "./template-file.js";
import {
  type FoundTemplate,
  TemplateError,
  type TemplateInfo,
  type TemplatePlace,
  type TemplateSource,
  type Templates,
} from "./templates.js";
import type { TrustedTemplates } from "./trusted-templates.js";

export interface TemplatesOptions {
  /** The folder of those that come with this product. */
  shippedFolder: string;
  /** Whether the API has a workflow: where it has that of a second model, some of those use both. */
  offers: (workflow: string) => boolean;
  /** The person's own folder; none where it is not known. */
  ownFolder?: string | undefined;
  repository: RepositoryReader;
  /** Reads a repository on this machine, also where runs work elsewhere: only to tell what there is. */
  standing: RepositoryReader;
  trusted: TrustedTemplates;
  clock: Clock;
}

/** As one would meet them: what most people want first. Others come behind, by name. */
const SHIPPED_ORDER = [
  "ship-feature",
  "fix-bug",
  "review-panel",
  "variants",
  "issue-batch",
  "refactor-safely",
];

/** Below the folder of those that come with this product: what takes their place where this workflow is offered. */
const [TWO_MODELS, SECOND_MODEL] = ["two-models", "review-codex"];

/** Only to tell of a clash, a repository elsewhere is not waited for any longer, in ms. */
const CLASH_MS = 3_000;

/** What was found in a file is remembered by its text, for so many of them. */
const MAX_DESCRIBED = 200;

/** A place with templates, in the order in which places win. */
interface Place {
  source: TemplateSource;
  files: TemplateFile[];
  problem?: string;
  /** Of a repository. */
  read?: RepositoryTemplates;
}

/** Puts the templates together over their folders and the reader of repositories. Nothing is read before it is asked. */
export function createTemplates(options: TemplatesOptions): Templates {
  const { shippedFolder, ownFolder, repository, trusted } = options;
  const described = new Map<string, TemplateInfo>();

  /** Reading a file can take half a second, and others wait for this process. */
  async function describeOnce(file: TemplateFile, source: TemplateSource): Promise<TemplateInfo> {
    if ("reason" in file) return describeFile(file, source);
    const key = `${source} ${file.name} ${digestOf(file.text)}`;
    const known = described.get(key);
    const info = known ?? (await describeFile(file, source));
    if (!known) await setImmediate();
    setBounded(described, key, info, MAX_DESCRIBED);
    return info;
  }

  async function readOwn(): Promise<Place> {
    const { files, problem } = ownFolder === undefined ? { files: [] } : await readFolder(ownFolder);
    return {
      source: "configuration",
      files,
      ...(problem
        ? { problem: `The folder of your own plans, plans in the configuration folder, ${problem}.` }
        : {}),
    };
  }

  async function readShipped(): Promise<Place> {
    const { files, problem } = await readFolder(shippedFolder);
    const others = options.offers(SECOND_MODEL)
      ? await readFolder(join(shippedFolder, TWO_MODELS))
      : { files: [] };
    const all = files.map((file) => others.files.find(({ name }) => name === file.name) ?? file);
    const rank = ({ name }: TemplateFile) => SHIPPED_ORDER.indexOf(name) + 1 || SHIPPED_ORDER.length + 1;
    return {
      source: "built-in",
      files: all.sort((a, b) => rank(a) - rank(b)),
      ...(problem ? { problem: `The folder of the plans that come with this product ${problem}.` } : {}),
    };
  }

  async function readPlace(
    place: TemplatePlace,
    signal: AbortSignal | undefined,
    reader: RepositoryReader = repository,
  ): Promise<Place | undefined> {
    const read = await reader(place, signal);
    if (!read) return undefined;
    if ("problem" in read) return { source: "repository", files: [], problem: read.problem };
    return { source: "repository", files: read.files, read };
  }

  const readAll = async (place: TemplatePlace, signal: AbortSignal | undefined): Promise<Place[]> =>
    (await Promise.all([readOwn(), readShipped(), readPlace(place, signal)])).flatMap((one) => one ?? []);

  async function describe(found: TemplateFile & { text: string }, place: Place): Promise<FoundTemplate> {
    const { name, text } = found;
    const digest = digestOf(text);
    const common = { name, text, digest, source: place.source };
    if (!place.read) {
      const from = place.source === "built-in" ? "the plans that come with this product" : "your own plans";
      return { ...common, from, isTrusted: true };
    }
    const { identity, commit } = place.read;
    return {
      ...common,
      from: `the repository at commit ${commit.slice(0, 7)}`,
      repository: identity,
      isTrusted: await trusted.has(identity, digest),
    };
  }

  async function usable(files: readonly TemplateFile[], source: TemplateSource): Promise<TemplateInfo[]> {
    const infos: TemplateInfo[] = [];
    for (const file of files) infos.push(await describeOnce(file, source));
    return infos.filter(({ problem }) => problem === undefined);
  }

  return {
    async list(place = {}, signal) {
      const places = await readAll(place, signal);
      const taken = new Map<string, TemplateSource>();
      const infos: TemplateInfo[] = [];
      for (const { source, files, problem } of places) {
        if (problem) infos.push({ name: "", source, inputs: {}, problem });
        for (const file of files) {
          const before = taken.get(file.name);
          const info = await describeOnce(file, source);
          infos.push(before ? { ...info, problem: tellClash(file.name, before, source) } : info);
          if (!before) taken.set(file.name, source);
        }
      }
      return infos;
    },

    async listOwn() {
      const { source, files } = await readOwn();
      return usable(files, source);
    },

    async listStanding(top) {
      const [own, shipped, read] = await Promise.all([
        readOwn(),
        readShipped(),
        readPlace({ repositoryUrl: top }, undefined, options.standing),
      ]);
      const taken = new Set([...own.files, ...shipped.files].map(({ name }) => name));
      return usable(read?.files.filter(({ name }) => !taken.has(name)) ?? [], "repository");
    },

    async find(name, place = {}, signal) {
      const having = (one: Place) => {
        const file = one.files.find((candidate) => candidate.name === name);
        return file ? [{ place: one, file }] : [];
      };
      const near = (await Promise.all([readOwn(), readShipped()])).flatMap(having);
      const isNear = near.length > 0;
      const repositoryPlace = await (isNear
        ? stopAtDeadline(options.clock, CLASH_MS, (soon) => readPlace(place, soon), signal)
        : readPlace(place, signal));
      const [first, ...others] = [...near, ...(repositoryPlace ? having(repositoryPlace) : [])];
      if (!first) {
        if (repositoryPlace?.problem) throw new TemplateError(repositoryPlace.problem);
        return undefined;
      }
      const { file } = first;
      if ("reason" in file) throw new TemplateError(tellReason(name, file.reason));
      const found = await describe(file, first.place);
      const notes = others.map((other) => tellClash(name, first.place.source, other.place.source));
      return { ...found, ...(notes.length > 0 ? { note: notes.join(" ") } : {}) };
    },

    async trust({ repository: identity, name, digest }) {
      if (identity !== undefined) await trusted.add({ repository: identity, name, digest });
    },
  };
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Two templates of one name: which one is taken. */
function tellClash(name: string, taken: TemplateSource, left: TemplateSource): string {
  const whose = {
    configuration: "your own",
    "built-in": "the one that comes with this product",
    repository: "",
  };
  if (left === "built-in")
    return `The template "${name}" that comes with this product is not taken: your own has its name.`;
  return (
    `The repository has a template "${name}", which is not taken: ${whose[taken]} has its name. ` +
    "To have the repository's, give its file another name."
  );
}
