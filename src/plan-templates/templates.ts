import type { Fields } from "../plans/plan.js";

/** Where a plan would work: what of a repository decides which templates it has. */
export interface TemplatePlace {
  repositoryUrl?: string | undefined;
  gitBranch?: string | undefined;
}

export type TemplateSource = "configuration" | "built-in" | "repository";

/** What lists tell of a template. */
export interface TemplateInfo {
  /** The file's name. Empty where all that can be said is that a place could not be read. */
  name: string;
  description?: string;
  source: TemplateSource;
  /** What it asks for; none while it cannot be used. */
  inputs: Fields;
  /** Why it cannot be used, or something that is to be known of it: whole sentences for a person. */
  problem?: string;
}

/** A template, read. */
export interface FoundTemplate {
  name: string;
  /** The plan as it is written, YAML. From a repository it is text of others. */
  text: string;
  source: TemplateSource;
  /** Where it comes from, in words: "the repository at commit abc1234". */
  from: string;
  /** Of the text: SHA-256 in hex. */
  digest: string;
  /**
   * Whether it can be begun without a look at it: a repository's only when a person has agreed to this very text for
   * that repository.
   */
  isTrusted: boolean;
  /** The repository that it was read from, as it is remembered. */
  repository?: string;
  /** What is to be told of the choice: another template of that name, which was not taken. Whole sentences. */
  note?: string;
}

/** Templates could not be read, or an agreement not be kept. The message says what is wrong, and what to do. */
export class TemplateError extends Error {
  override name = "TemplateError";
}

/**
 * The templates that a plan can be begun from: those of the configuration folder, those that come with this product, and
 * those of the repository, in this order where several have one name. Files are read at each call; of a repository the
 * commit that runs would begin at, never what is checked out.
 */
export interface Templates {
  /**
   * All of them; without a repository in the place none of a repository. What cannot be used is among them, with its
   * problem. Never throws.
   */
  list(place?: TemplatePlace, signal?: AbortSignal): Promise<TemplateInfo[]>;
  /** The person's own that can be begun. Never throws. */
  listOwn(): Promise<TemplateInfo[]>;
  /**
   * Those of a repository on this machine, as its newest commit has them, that can be begun by name. Never throws.
   * @param top the repository's top folder
   */
  listStanding(top: string): Promise<TemplateInfo[]>;
  /**
   * The template of that name, whether or not what it says is a plan.
   * @throws TemplateError when the repository, which alone may have it, cannot be read, or the file cannot
   */
  find(name: string, place?: TemplatePlace, signal?: AbortSignal): Promise<FoundTemplate | undefined>;
  /**
   * Remembers that a person has seen and agreed to this text for its repository.
   * @throws TemplateError when that cannot be kept: it holds until this process ends
   */
  trust(found: FoundTemplate): Promise<void>;
}

/** Templates that are loaded when they are first asked for. */
export function openLazily(load: () => Promise<Templates>): Templates {
  let loading: Promise<Templates> | undefined;
  const open = () => {
    loading ??= load();
    return loading;
  };
  return {
    list: async (place, signal) => (await open()).list(place, signal),
    listOwn: async () => (await open()).listOwn(),
    listStanding: async (top) => (await open()).listStanding(top),
    find: async (name, place, signal) => (await open()).find(name, place, signal),
    trust: async (found) => (await open()).trust(found),
  };
}
