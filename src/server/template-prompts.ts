import type { Call, Services } from "../actions/define-action.js";
import { findClientRepository, listClientFolders } from "../actions/start/client-folders.js";
import { hasTemplates, isBelowTemplates, watchFolder } from "../plan-templates/template-folders.js";
import type { TemplateInfo } from "../plan-templates/templates.js";
import { stopAtDeadline, withDeadline } from "../shared/deadline.js";
import { planPrompts, promptOfTemplate } from "./plan-prompts.js";
import type { PromptDefinition } from "./prompt.js";
import { prompts } from "./prompts.js";
import { createPaced } from "./throttle-by-key.js";

/** Who asks for prompts, the same object each time: where they stand decides which templates there are. */
export type Standing = Pick<Call, "localFolders">;

/** The prompts as they are now, with one for each template that can be begun by name. */
export interface Prompts {
  /**
   * All of them, each name once. Never throws, and waits a second at most for what is read: what comes later is told
   * as a change.
   */
  list(standing: Standing): Promise<readonly PromptDefinition[]>;
  /** Tells that a list may be another one now, after it was asked for once. @returns ends that */
  onChange(listener: () => void): () => void;
  close(): void;
}

/** What a client sees of prompts: where it is the same, nothing has changed. */
export function spell(list: readonly PromptDefinition[]): string {
  return JSON.stringify(list);
}

/** One of the places with templates. */
type Read = (standing: Standing) => Promise<PromptDefinition[]>;

/** A client may put them all before a person: more of them nobody looks through. */
const MAX_OF_TEMPLATES = 50;
/** How long a list may wait for what is read of templates, in ms … */
const BUDGET_MS = 1_000;
/** … and how long it may be looked for where the client stands, so that a later list has it. */
const READING_MS = 20_000;
/** One change of a file is seen several times, in ms. */
const PAUSE_MS = 500;

/**
 * Puts the prompts together. Nothing is looked at before a list is asked for; then names of files first, and what reads
 * templates is loaded only where there are any.
 * @param ownFolder the person's own templates
 */
export function createPrompts(services: Services, ownFolder: string | undefined): Prompts {
  const { clock, templates } = services;
  const fixed = new Set(prompts.filter((one) => !planPrompts.includes(one)).map(({ name }) => name));
  const listeners = new Set<() => void>();
  /** What was read last, for each who asks. */
  const known = new WeakMap<Standing, Map<Read, PromptDefinition[]>>();
  const changes = createPaced<"prompts">(clock, PAUSE_MS, () => {
    for (const listener of listeners) listener();
  });
  let stopWatching: (() => void) | undefined;
  let isClosed = false;

  const readOwn: Read = async () => {
    if (ownFolder === undefined || !(await hasTemplates(ownFolder))) return [];
    return toPrompts(await templates.listOwn());
  };

  const readStanding: Read = (standing) =>
    stopAtDeadline(clock, READING_MS, (signal) => readStandingUntil(standing, signal));

  async function readStandingUntil(standing: Standing, signal: AbortSignal): Promise<PromptDefinition[]> {
    const folders = await listClientFolders(standing, services, signal);
    const below = await Promise.all(folders.map(isBelowTemplates));
    if (!below.includes(true)) return [];
    const here = await findClientRepository(standing, services, signal);
    return here ? toPrompts(await templates.listStanding(here.top)) : [];
  }

  function toPrompts(found: readonly TemplateInfo[]): PromptDefinition[] {
    return found
      .filter(({ name }) => !fixed.has(name))
      .slice(0, MAX_OF_TEMPLATES)
      .map(promptOfTemplate);
  }

  /** Within the budget what is there now, later what was there before; a difference is told when it is known. */
  async function inTime(read: Read, standing: Standing): Promise<PromptDefinition[]> {
    const before = known.get(standing)?.get(read) ?? [];
    let given: string | undefined;
    const reading = read(standing).then(
      (found) => {
        known.set(standing, (known.get(standing) ?? new Map()).set(read, found));
        if (given !== undefined && given !== spell(found)) changes.touch("prompts");
        return found;
      },
      () => undefined,
    );
    const found = (await withDeadline(clock, BUDGET_MS, () => reading)) ?? before;
    given = spell(found);
    return found;
  }

  return {
    async list(standing) {
      if (!isClosed && ownFolder !== undefined)
        stopWatching ??= watchFolder(ownFolder, () => changes.touch("prompts"));
      const [own, theirs] = await Promise.all([inTime(readOwn, standing), inTime(readStanding, standing)]);
      const byName = new Map([...prompts, ...own, ...theirs].map((prompt) => [prompt.name, prompt]));
      return [...byName.values()];
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close() {
      isClosed = true;
      stopWatching?.();
      changes.close();
      listeners.clear();
    },
  };
}
