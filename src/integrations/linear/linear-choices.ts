import { join } from "node:path";
import * as z from "zod";
import { ensurePrivateFolder } from "../../shared/private-files.js";
import { readRecord, writeRecord } from "../../shared/record-file.js";

/** So many teams are remembered with their last project. */
const TEAMS_KEPT = 50;

const choicesSchema = z.object({
  teamId: z.string(),
  /** By the teams' ids; "" for none. */
  projects: z.record(z.string(), z.string()),
});
type Choices = z.output<typeof choicesSchema>;

/** In which team and project of Linear a person has made an issue last. */
export interface LinearChoices {
  /** Never throws. */
  last(): Promise<Choices | undefined>;
  /** Never throws: where it cannot be written, it holds until this process ends. @param projectId "" for none */
  keep(teamId: string, projectId: string): Promise<void>;
}

const FILE = "linear-choice.json";

/**
 * Keeps it in a file of the state folder, so that it holds in every window and after a restart.
 * @param folder the state folder of one person; undefined where several share a server: then nothing is kept, since what
 * one has chosen is no suggestion for another
 */
export function createLinearChoices(folder: string | undefined): LinearChoices {
  let own: Choices | undefined;
  async function last(): Promise<Choices | undefined> {
    return own ?? (folder === undefined ? undefined : readRecord(join(folder, FILE), choicesSchema));
  }
  return {
    last,
    async keep(teamId, projectId) {
      if (!folder) return;
      const others = Object.entries((await last())?.projects ?? {}).filter(([id]) => id !== teamId);
      own = { teamId, projects: Object.fromEntries([[teamId, projectId], ...others].slice(0, TEAMS_KEPT)) };
      try {
        await ensurePrivateFolder(folder);
        writeRecord(join(folder, FILE), own);
      } catch {
        // It is asked again, and nothing else depends on it.
      }
    },
  };
}
